// `holdfast start`: starts the cell's process, tells the user where it is, starts it again when it dies, and stops it.
// Nothing that it started is left running when it ends.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { limits } from '../base/limits.ts'
import { listenFailure } from '../main.ts'
import { type Config, configFlags, optionsHelp, readConfig } from '../runtime/config.ts'
import { type Log, openLog } from '../runtime/log.ts'
import { StartFailure } from '../runtime/start-failure.ts'
import type { CellReport } from './cell.ts'
import { welcome } from './welcome.ts'

type Ready = Extract<CellReport, { type: 'ready' }>

export const startHelp = `Usage: holdfast start [options]

${optionsHelp()}

Each option is also a variable: --json-logs is HOLDFAST_JSON_LOGS.`

export async function start(args: string[]): Promise<number> {
  const config = readConfig(args, process.env)
  const startedAt = performance.now()
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort())
  await checkPort(config)
  const log = openLog({ level: config.logLevel, json: config.jsonLogs, name: config.cells[0]! })
  const onReady = (ready: Ready) => process.stdout.write(welcome({ config, ready, ms: performance.now() - startedAt }))
  return keepRunning({ config, log, stopping: stopping.signal, onReady })
}

/** Fails before anything is started; the cell's own listen decides when two start at once. */
async function checkPort({ host, port }: Config): Promise<void> {
  const probe = createServer()
  try {
    probe.listen({ host, port, exclusive: true })
    await once(probe, 'listening')
  } catch (error) {
    throw listenFailure(error, { host, port })
  } finally {
    probe.close()
  }
}

type Supervision = { config: Config; log: Log; stopping: AbortSignal; onReady: (ready: Ready) => void }

/** Until told to stop. Dead: started again at once, with growing pauses only while it keeps dying young. */
async function keepRunning({ config, log, stopping, onReady }: Supervision): Promise<number> {
  let port = config.port
  let youngDeaths = 0
  for (let firstRun = true; ; firstRun = false) {
    const run = startCell({ ...config, port })
    run.ready.then((ready) => {
      port = ready.port // one that the system chose stays
      if (firstRun) onReady(ready)
      else log.info('the cell runs again')
    })
    const ended = await endOf(run, stopping)
    if (stopping.aborted) return ended.killed ? 1 : 0
    if (firstRun && !run.wasReady()) throw new StartFailure(ended.code, ended.line)
    youngDeaths = run.servedMs() < limits.youngDeathMs ? youngDeaths + 1 : 0
    const pauseMs = youngDeaths === 0 ? 0 : Math.min(limits.restartPauseMsMax, limits.restartPauseMs * 2 ** youngDeaths)
    log.error({ pauseMs }, `the process of the cell ended (${ended.line}); starting it again`)
    await pause(pauseMs, undefined, { signal: stopping }).catch(() => undefined)
    if (stopping.aborted) return 0
  }
}

type CellRun = {
  child: ChildProcess
  ready: Promise<Ready>
  wasReady(): boolean
  /** How long it has been ready. */
  servedMs(): number
  failure(): Extract<CellReport, { type: 'failed' }> | undefined
}

function startCell(config: Config): CellRun {
  const folder = join(resolve(config.data), config.cells[0]!)
  const child = fork(
    fileURLToPath(new URL('./holdfast.ts', import.meta.url)),
    ['cell', folder, ...configFlags(config)],
    {
      env: { ...process.env, HOLDFAST_DATABASE_URL: config.databaseUrl ?? '' }, // not a flag: it may hold a password
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  )
  let readyAt: number | undefined
  let failure: ReturnType<CellRun['failure']>
  const ready = new Promise<Ready>((resolveReady) => {
    child.on('message', (message: CellReport) => {
      if (message.type === 'failed') failure = message
      else {
        readyAt = performance.now()
        resolveReady(message)
      }
    })
  })
  return {
    child,
    ready,
    wasReady: () => readyAt !== undefined,
    servedMs: () => (readyAt === undefined ? 0 : performance.now() - readyAt),
    failure: () => failure,
  }
}

type End = { line: string; code: StartFailure['code']; killed: boolean }

/** Waits for the process to end; once `stopping` says so, tells it to, and in the end makes it. */
async function endOf(run: CellRun, stopping: AbortSignal): Promise<End> {
  let killed = false
  let lastResort: NodeJS.Timeout | undefined
  const stop = () => {
    if (run.child.connected) run.child.send('stop')
    lastResort = setTimeout(() => {
      killed = true
      run.child.kill('SIGKILL')
    }, limits.cellStopMsMax)
  }
  if (stopping.aborted) stop()
  else stopping.addEventListener('abort', stop, { once: true })
  const [exitCode, signal] = (await once(run.child, 'exit')) as [number | null, string | null]
  stopping.removeEventListener('abort', stop)
  clearTimeout(lastResort)
  const failure = run.failure()
  if (failure) return { line: failure.line, code: failure.code, killed }
  return { line: `the cell's process ended with ${signal ?? `code ${exitCode}`}`, code: 'cell_ended', killed }
}
