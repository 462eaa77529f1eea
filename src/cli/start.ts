// `holdfast start`: starts the processes of its cells side by side, tells the user where they are, keeps each running, and
// stops them. Nothing that it started is left running when it ends.
import { resolve } from 'node:path'
import { readConfig } from '../runtime/config.ts'
import { optionsHelp } from '../runtime/config-pages.ts'
import { openLog } from '../runtime/log.ts'
import { buildWebIfMissing, webBuild } from './build-web.ts'
import type { CellReady } from './cell.ts'
import { type ControlledCell, type ControlRequest, openControl } from './control.ts'
import { CommandFailure } from './failure.ts'
import { type Fleet, makeFleet } from './fleet.ts'
import type { SupervisedCell } from './supervise.ts'
import { welcome } from './welcome.ts'

export const startHelp = `Usage: holdfast start [options]

${optionsHelp()}

Each option is also a variable: --json-logs is HOLDFAST_JSON_LOGS.`

export async function start(args: string[]): Promise<number> {
  const config = readConfig(args, process.env)
  const startedAt = performance.now()
  const controller = new AbortController()
  const stopping = controller.signal
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => controller.abort())
  let fleet: Fleet | undefined
  let web: Promise<void> | undefined
  const control = await openControl(resolve(config.data), (request) => carryOut(request, fleet, stopping))
  try {
    fleet = await makeFleet(config)
    const { cells, wanted } = fleet
    if (stopping.aborted) return 0
    const log = openLog({ level: config.logLevel, json: config.jsonLogs, name: 'holdfast' })
    web = buildWebIfMissing(webBuild, log, stopping)
    stopping.addEventListener('abort', () => void stopAll(cells))
    const ready = await startAll(wanted)
    if (!stopping.aborted) process.stdout.write(welcome({ config, ready, ms: performance.now() - startedAt }))
    await aborted(stopping)
    return (await stopAll(cells)).killed ? 1 : 0
  } finally {
    controller.abort()
    await web
    await fleet?.settled()
    await control.close()
  }
}

/** Whole or not at all. Cells that were stopped before they were ready are not among the answers. */
async function startAll(cells: readonly SupervisedCell[]): Promise<CellReady[]> {
  try {
    const ready = await Promise.all(cells.map((cell) => cell.start()))
    return ready.filter((one) => one !== undefined)
  } catch (error) {
    await stopAll(cells)
    throw error
  }
}

async function stopAll(cells: readonly SupervisedCell[]): Promise<{ killed: boolean }> {
  const stopped = await Promise.all(cells.map((cell) => cell.stop()))
  return { killed: stopped.some(({ killed }) => killed) }
}

/** What `holdfast cells` asks of us. */
async function carryOut(
  request: ControlRequest,
  fleet: Fleet | undefined,
  stopping: AbortSignal,
): Promise<ControlledCell[]> {
  const cells = fleet?.cells ?? []
  if (request.do === 'list') return cells.map(told)
  if (stopping.aborted || !fleet) throw new CommandFailure('not_running', 'The cells are being started or stopped.')
  if (request.do === 'add') return [told(await fleet.add(request.cell))]
  const cell = cells.find(({ name }) => name === request.cell)
  if (!cell) {
    const names = cells.map(({ name }) => name).join(', ')
    throw new CommandFailure('cell_unknown', `No cell ${request.cell} is run here; there are ${names}.`)
  }
  if (request.do === 'stop') await cell.stop()
  else await cell.start()
  return [told(cell)]
}

const told = (cell: SupervisedCell): ControlledCell => ({ cell: cell.name, state: cell.state(), url: cell.url })

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolved) =>
    signal.aborted ? resolved() : signal.addEventListener('abort', () => resolved(), { once: true }),
  )
