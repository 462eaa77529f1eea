// Keeps the process of one cell running: dead, it is started again, while the other cells go on untouched. A stop drains it
// and leaves nothing of it behind.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { CellName } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { checkTopology, type Topology, topologyJson } from '../base/topology.ts'
import { originOf } from '../main.ts'
import { type Config, configFlags } from '../runtime/config.ts'
import type { Log } from '../runtime/log.ts'
import { StartFailure } from '../runtime/start-failure.ts'
import type { CellReady, CellReport } from './cell.ts'

export type CellState = 'stopped' | 'starting' | 'running' | 'stopping'

export type SupervisedCell = {
  readonly name: CellName
  /** Where it listens while it runs. */
  readonly url: string
  state(): CellState
  /** Resolves when it is ready; with undefined when it was stopped before. Throws StartFailure when it cannot start. */
  start(): Promise<CellReady | undefined>
  /** Resolves when no process of it is left, and says whether it had to be killed. */
  stop(): Promise<{ killed: boolean }>
  /** To its process, if one runs. */
  offer(topology: Topology): void
}

export type Supervision = {
  name: CellName
  /** DIR/<cell> */
  folder: string
  /** Of the cell's process; `port` is its own. */
  config: Config
  log: Log
  /** Of each topology that it adopts. */
  onTopology(topology: Topology): void
}

export function superviseCell(supervision: Supervision): SupervisedCell {
  let life: Life | undefined
  const stop = async () => {
    life?.stopping.abort()
    return { killed: (await life?.ended) ?? false }
  }
  return {
    name: supervision.name,
    url: originOf(supervision.config.host, supervision.config.port),
    state() {
      if (!life) return 'stopped'
      if (life.stopping.signal.aborted) return 'stopping'
      return life.isReady() ? 'running' : 'starting'
    },
    async start() {
      if (life?.stopping.signal.aborted) await stop()
      if (!life) {
        const begun = beginLife(supervision)
        life = begun
        begun.ended.then(() => {
          life = undefined
        })
      }
      return life.firstReady
    },
    stop,
    offer: (topology) => life?.send({ topology: topologyJson(topology) }),
  }
}

/** From a start to a stop, through as many processes as it takes. */
type Life = {
  stopping: AbortController
  firstReady: Promise<CellReady | undefined>
  isReady(): boolean
  send(message: { topology: Json }): void
  /** Whether it had to be killed. */
  ended: Promise<boolean>
}

function beginLife(supervision: Supervision): Life {
  const stopping = new AbortController()
  const first = Promise.withResolvers<CellReady | undefined>()
  first.promise.catch(() => {}) // whoever started it hears of it
  let current: CellRun | undefined
  const keepRunning = async (): Promise<boolean> => {
    let youngDeaths = 0
    for (let firstRun = true; ; firstRun = false) {
      const run = startProcess(supervision)
      current = run
      run.ready.then((ready) => {
        if (firstRun) first.resolve(ready)
        else supervision.log.info('the cell runs again')
      })
      const ended = await endOf(run, stopping.signal)
      current = undefined
      if (stopping.signal.aborted) return ended.killed
      if (firstRun && !run.isReady()) throw new StartFailure(ended.code, ended.line)
      youngDeaths = run.servedMs() < limits.youngDeathMs ? youngDeaths + 1 : 0
      await pauseBeforeNext(supervision.log, { youngDeaths, line: ended.line, stopping: stopping.signal })
      if (stopping.signal.aborted) return false
    }
  }
  const ended = keepRunning().then(
    (killed) => {
      first.resolve(undefined)
      return killed
    },
    (error) => {
      first.reject(error)
      return false
    },
  )
  return {
    stopping,
    firstReady: first.promise,
    isReady: () => current?.isReady() ?? false,
    send: (message) => void (current?.child.connected && current.child.send(message)),
    ended,
  }
}

/** Dead: started again at once, with growing pauses only while it keeps dying young. */
async function pauseBeforeNext(
  log: Log,
  { youngDeaths, line, stopping }: { youngDeaths: number; line: string; stopping: AbortSignal },
): Promise<void> {
  const pauseMs = youngDeaths === 0 ? 0 : Math.min(limits.restartPauseMsMax, limits.restartPauseMs * 2 ** youngDeaths)
  log.error({ pauseMs }, `the process of the cell ended (${line}); starting it again`)
  await pause(pauseMs, undefined, { signal: stopping }).catch(() => undefined)
}

type CellRun = {
  child: ChildProcess
  ready: Promise<CellReady>
  isReady(): boolean
  /** How long it has been ready. */
  servedMs(): number
  failure(): Extract<CellReport, { type: 'failed' }> | undefined
}

function startProcess({ folder, config, onTopology }: Supervision): CellRun {
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
  const ready = new Promise<CellReady>((resolveReady) => {
    child.on('message', (message: CellReport) => {
      if (message.type === 'failed') failure = message
      else if (message.type === 'topology') {
        const told = checkTopology(message.topology, { httpAnywhere: true })
        if (!Array.isArray(told)) onTopology(told)
      } else {
        readyAt = performance.now()
        resolveReady(message)
      }
    })
  })
  return {
    child,
    ready,
    isReady: () => readyAt !== undefined,
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
