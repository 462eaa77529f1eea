// What processes use, read from /proc (Linux). The time of a child that has ended is in its parent's account, so that the
// sum over a tree loses nothing.
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const ticksPerSecond = 100

type Entry = { parent: number; cpuTicks: number }

function readEntry(pid: number): Entry | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ') // from field 3 on; see proc(5)
    const cpuTicks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) // utime stime cutime cstime
    return { parent: Number(fields[1]), cpuTicks }
  } catch {
    return undefined // gone in between
  }
}

function readAll(): Map<number, Entry> {
  const all = new Map<number, Entry>()
  for (const name of readdirSync('/proc')) {
    const entry = /^\d+$/.test(name) ? readEntry(Number(name)) : undefined
    if (entry) all.set(Number(name), entry)
  }
  return all
}

function treeOf(root: number, without: number | undefined, all: Map<number, Entry>): number[] {
  const tree = new Set(all.has(root) ? [root] : [])
  for (let before = -1; before !== tree.size; ) {
    before = tree.size
    for (const [pid, { parent }] of all) if (tree.has(parent) && pid !== without) tree.add(pid)
  }
  return [...tree]
}

/** Seconds of CPU that a process and all it has started have used so far, except for the tree of `without`. */
export function cpuSecondsOf(root: number, without?: number): number {
  const all = readAll()
  return treeOf(root, without, all).reduce((sum, pid) => sum + all.get(pid)!.cpuTicks, 0) / ticksPerSecond
}

/** Those that have the word on their command line. */
export const childrenOf = (pid: number, word: string): number[] =>
  [...readAll()]
    .filter(([child, { parent }]) => parent === pid && wordsOf(child).includes(word))
    .map(([child]) => child)

function wordsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return [] // gone in between
  }
}

/** The most memory that a process has ever had resident. */
export function peakRssMib(pid: number): number {
  const found = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found![1]) / 1024
}
