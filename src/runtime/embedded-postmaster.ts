// Finds the PostgreSQL server of a data folder, if one lives: ours, an orphan of a killed run, or the remains of one.
// A pid alone proves nothing (it may have been given to another process since), so what it runs is looked at too.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { limits } from '../base/limits.ts'

export type Postmaster = {
  pid: number
  socketFolder: string
  status: 'starting' | 'stopping' | 'ready' | 'standby' | ''
}

/** What `postmaster.pid` says (its lines are documented in src/include/utils/pidfile.h), whether or not it still lives. */
export async function readPostmaster(cluster: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => undefined)
  const lines = text?.split('\n') ?? []
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  return { pid, socketFolder: lines[4] ?? '', status: (lines[7]?.trim() ?? '') as Postmaster['status'] }
}

/** Does a server run on this folder under this pid? */
export function isServerOf(cluster: string, pid: number): boolean {
  if (!isAlive(pid)) return false
  if (process.platform === 'linux') return isPostgres(pid) && workingFolder(pid) === cluster
  try {
    return /postgres/.test(execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }))
  } catch {
    return false
  }
}

/** The cheap form of the question, for a pid that was the server's a moment ago. A zombie does not run. */
export const stillRuns = (cluster: string, pid: number): boolean =>
  process.platform === 'linux' ? isServerOf(cluster, pid) : isAlive(pid)

/** Waits until the server is gone, or the time is over. */
async function waitGone(cluster: string, pid: number, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs
  while (stillRuns(cluster, pid) && performance.now() <= deadline) await pause(10)
}

/** Fast shutdown (clients are cut, everything is written), harder only when that hangs. Returns when it is gone. */
export async function stopServer(cluster: string, pid: number): Promise<void> {
  const steps = [
    ['SIGINT', limits.postgresStopMsMax],
    ['SIGQUIT', 5_000],
    ['SIGKILL', 5_000],
  ] as const
  for (const [signal, withinMs] of steps) {
    if (!stillRuns(cluster, pid)) break // its number may be another process's by now
    try {
      process.kill(pid, signal)
    } catch {} // gone in between
    await waitGone(cluster, pid, withinMs)
  }
  await killOrphanBackends(cluster, 5_000)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/**
 * Backends that outlived their postmaster keep the new one from starting. They hold nothing that crash recovery does
 * not settle, and nobody can reach them any more, so they are killed. Linux only; elsewhere PostgreSQL waits for them.
 */
export async function killOrphanBackends(cluster: string, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs
  for (
    let left = orphanBackends(cluster);
    left.length > 0 && performance.now() < deadline;
    left = orphanBackends(cluster)
  ) {
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {} // gone in between
    }
    await pause(10)
  }
}

/** Server processes of this folder whose parent is no server. A postmaster never counts: its title is its command line. */
function orphanBackends(cluster: string): number[] {
  return processesIn(cluster).filter(
    (pid) => readProc(pid, 'cmdline').startsWith('postgres: ') && !isPostgres(parentOf(pid)),
  )
}

/** Every PostgreSQL process that works in this folder; for tests and the sweep above. Linux only. */
export function processesIn(cluster: string): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && workingFolder(pid) === cluster && isPostgres(pid))
}

const isPostgres = (pid: number): boolean => readProc(pid, 'comm').trim() === 'postgres'

const parentOf = (pid: number): number => Number(/^PPid:\s*(\d+)/m.exec(readProc(pid, 'status'))?.[1] ?? 0)

/** Empty when the process is gone. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

const workingFolder = (pid: number): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return undefined
  }
}
