// Runs `holdfast` as real processes, the way a user does, and sees what of them is alive. Linux only where it reads /proc.
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DatabaseUrl, socketUrl } from '../../src/runtime/database-url.ts'
import { isAlive, processesIn, readPostmaster } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from './eventually.ts'
import { signalAll } from './signal-all.ts'

export const repository = fileURLToPath(new URL('../..', import.meta.url))
const program = join(repository, 'src/cli/holdfast.ts')

export type RunOptions = { env?: Record<string, string>; account?: { uid: number; gid: number } }

export type Ended = { code: number | null; signal: string | null; stdout: string; stderr: string; ms: number }

export type Running = {
  child: ChildProcess
  url: string
  /** All that it printed so far. */
  output(): string
  ended: Promise<Ended>
  /** Ctrl-C: SIGINT to the whole process group, as a terminal does. */
  interrupt(): void
}

/** Runs a command to its end. */
export function runHoldfast(args: string[], options: RunOptions = {}): Promise<Ended> {
  return launch(args, options).ended
}

/** Starts a server of one cell, unless others are named, on free ports and waits until it says that it is ready. */
export async function startHoldfast(args: string[], options: RunOptions = {}): Promise<Running> {
  const run = launch(['start', '--port=0', '--cells=eu1', ...args], options)
  let ended: Ended | undefined
  run.ended.then((value) => {
    ended = value
  })
  const address = () => /API +(http:\S+)/.exec(run.output())?.[1]
  await eventually(() => address() !== undefined || ended !== undefined, 55_000)
  const url = address()
  if (!url) throw new Error(`holdfast did not start: ${run.output()}`)
  return { ...run, url }
}

function launch(args: string[], { env, account }: RunOptions): Omit<Running, 'url'> {
  const startedAt = performance.now()
  // A process group of its own, so that Ctrl-C can be sent to it alone.
  const child = spawn(process.execPath, [program, ...args], {
    ...account,
    cwd: repository,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<Ended>((resolve) => {
    child.once('exit', (code, signal) =>
      setImmediate(() => resolve({ code, signal, stdout, stderr, ms: performance.now() - startedAt })),
    )
  })
  return { child, output: () => stdout + stderr, ended, interrupt: () => process.kill(-child.pid!, 'SIGINT') }
}

/** A data folder that goes with the test, and everything that still runs in it. */
export async function makeDataFolder(parent = tmpdir()): Promise<{ data: string; remove: () => Promise<void> }> {
  const data = await realpath(await mkdtemp(join(parent, 'holdfast-e2e-')))
  const remove = async () => {
    signalAll(everyProcess(data))
    await eventually(() => everyProcess(data).length === 0)
    for (const cluster of clustersIn(data)) {
      const left = await readPostmaster(cluster)
      if (left) await rm(left.socketFolder, { recursive: true, force: true })
    }
    await rm(data, { recursive: true, force: true })
  }
  return { data, remove }
}

const clustersIn = (data: string): string[] => readdirSync(data).map((cell) => join(data, cell, 'pg'))

/** The process of the cell: the one whose command line says `cell DATA/eu1`. */
export const cellProcess = (data: string, cell = 'eu1'): number | undefined =>
  readdirSync('/proc')
    .map(Number)
    .find((pid) => pid > 0 && commandLine(pid).includes(`\0cell\0${data}/${cell}\0`))

/** Everything that names the data folder or works in it. */
export function everyProcess(data: string): number[] {
  const named = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid && commandLine(pid).includes(data))
  return [...new Set([...named, ...clustersIn(data).flatMap(processesIn)])].filter(isAlive)
}

export async function postmasterPid(data: string, cell = 'eu1'): Promise<number | undefined> {
  return (await readPostmaster(join(data, cell, 'pg')))?.pid
}

/** The embedded database of a running cell. */
export async function embeddedUrl(data: string, cell = 'eu1'): Promise<DatabaseUrl> {
  const server = await readPostmaster(join(data, cell, 'pg'))
  const password = await readFile(join(data, cell, 'password'), 'utf8')
  return socketUrl({ folder: server!.socketFolder, user: 'holdfast', password, database: 'holdfast' })
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

export const lives = async (url: string): Promise<boolean> =>
  (await fetch(`${url}/healthz`).catch(() => undefined))?.ok === true

export async function interrupted(server: Running): Promise<Ended> {
  server.interrupt()
  return server.ended
}
