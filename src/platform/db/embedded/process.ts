import { execFile } from 'node:child_process'
import { readFile, readlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const isLinux = process.platform === 'linux'

/**
 * When the process of this number started, in a form that is equal only for the same process: numbers are used again. Undefined when
 * there is none, or only a dead one whose parent has not collected it.
 */
export async function processStart(pid: number): Promise<string | undefined> {
  return isLinux ? startFromProc(pid) : startFromPs(pid)
}

async function startFromProc(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  // proc(5): the name of the program is in brackets and may hold anything, so fields count from the last bracket: state, ..., 22 start time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

async function startFromPs(pid: number): Promise<string | undefined> {
  try {
    const { stdout } = await run('/bin/ps', ['-o', 'stat=,lstart=', '-p', String(pid)])
    const [state = '', ...start] = stdout.trim().split(/\s+/)
    return state === '' || state.startsWith('Z') ? undefined : start.join(' ')
  } catch {
    return undefined
  }
}

/** Whether the process is a PostgreSQL that works in this folder: each of its processes has it as working directory. */
export async function worksIn(pid: number, folder: string): Promise<boolean> {
  if (isLinux) return (await readlink(`/proc/${pid}/cwd`).catch(() => undefined)) === folder
  const command = await run('/bin/ps', ['-o', 'command=', '-p', String(pid)]).catch(() => undefined)
  return command?.stdout.includes(`-D ${folder} `) ?? false
}

/** Sends the signal; false when there is no such process any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    throw error
  }
}

/** Asks again every few milliseconds until the answer is yes (true) or the time is over (false). */
export async function waitUntil(question: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs
  while (!(await question())) {
    if (performance.now() > end) return false
    await sleep(5)
  }
  return true
}
