import { mkdir, writeFile } from 'node:fs/promises'
import { arch, cpus, platform, totalmem } from 'node:os'
import { join } from 'node:path'

import type { Measurement } from './scenario.ts'

/** A table for people: ours, bare, their ratio, the goal and whether it was reached. */
export function table(lines: readonly Measurement[]): string {
  const head = ['what', 'ours', 'bare', 'ratio', 'goal', '', 'beside']
  const rows = lines.map((line) => [
    line.what,
    `${figure(line.ours)} ${line.unit}`,
    line.bare === undefined ? '' : `${figure(line.bare)} ${line.unit}`,
    line.bare === undefined ? '' : (line.ours / line.bare).toFixed(2),
    line.goal ?? '',
    line.reached === undefined ? '' : line.reached ? 'reached' : 'MISSED',
    line.note ?? '',
  ])
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)))
  const format = (row: string[]): string => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  return [format(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(format)].join('\n')
}

function figure(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

/** Keeps the figures with the kind of machine as JSON below bench/results/ and returns the path. */
export async function keep(folder: string, name: string, lines: readonly Measurement[]): Promise<string> {
  const machine = {
    platform: platform(),
    arch: arch(),
    cores: cpus().length,
    model: cpus()[0]?.model,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
  }
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${name}.json`)
  await writeFile(path, `${JSON.stringify({ at: new Date().toISOString(), machine, lines }, null, 2)}\n`)
  return path
}
