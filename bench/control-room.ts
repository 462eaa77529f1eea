// The control room where much happens: Now over three cells opened with an empty cache, then drawn while 5,000 events a second come in; and
// orders read page by page to the end of a store that has grown. Browser, cells and databases share one machine, which has no GPU.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { CommandFailure } from '../src/cli/failure.ts'
import { eventually } from '../test/support/eventually.ts'
import { findPrograms } from '../test/support/programs.ts'
import { openBrowser } from '../test/web/browser.ts'
import { type Bench, type BenchContext, type BenchResult, grouped } from './bench.ts'
import { percentileOf } from './buying.ts'
import { grow, kibPerOrder } from './growth.ts'
import { readSettings, repository } from './machine.ts'
import { type Paging, pageThrough } from './order-pages.ts'
import { type CellEvent, openFronts } from './room-fronts.ts'
import { type Frames, type Load, loadNow, watchFrames } from './room-page.ts'
import { median, round } from './rounds.ts'
import { type BenchServer, receiveSpread, startCells, startServer } from './server.ts'
import { makeStencil, skusSpread, stamp } from './shapes.ts'

const cells = ['eu1', 'us1', 'ap1'] as const
const eventsPerSecond = 5_000
const loads = 9
const betweenOrdersMs = 150
const eventsRecordedMin = 100 // of each cell
const recordMsMax = 60_000
const keyCharacters = 36

export const controlRoom: Bench = {
  diskMib: ({ rows }) => 6_144 + Math.ceil((rows * kibPerOrder) / 1_024),
  secondsMax: ({ seconds, rounds, rows }) => 400 + rounds * (seconds + 60) + rows / 1_000,
  async run(context) {
    const { options, say } = context
    if (!findPrograms('chromium')) throw new CommandFailure('no_browser', 'This bench needs Chromium.')
    execFileSync(process.execPath, [join(repository, 'web/build.ts')], { cwd: repository, stdio: 'inherit' })
    const page = await measurePage(context)
    const folderName = 'grown'
    await grow(context, folderName)
    const grown = await startServer(context, folderName)
    const paging = await pageThrough(grown.url, { orders: options.rows, rounds: options.rounds, say })
    return { ...resultOf(page, paging), postgres: await readSettings(grown.sql) }
  },
}

type Measured = { loads: Load[]; frames: Frames[]; browser: string }

async function measurePage(context: BenchContext): Promise<Measured> {
  const { options, say } = context
  const fronts = openFronts()
  context.defer(() => fronts.stop())
  const servers = await startCells(context, { folderName: 'cells', cells, area: fronts })
  const urls = await addressesOf(servers)
  await receiveSpread(servers)
  await eventually(async () => (await Promise.all(urls.map(isAudited))).every(Boolean), recordMsMax)
  const browser = await openBrowser()
  context.defer(() => browser.close())
  await loadNow(browser, urls[0]!) // the browser's own first page
  const loaded: Load[] = []
  for (let turn = 0; turn < loads; turn++) loaded.push(await loadNow(browser, urls[0]!))
  say(`loaded ${loads} times, with its numbers after ${loaded.map(({ numbersMs }) => round(numbersMs)).join(', ')} ms`)
  const over = new AbortController()
  const traffic = Promise.all(urls.map((url, at) => placeElsewhere(url, cells[(at + 1) % cells.length]!, over.signal)))
  traffic.catch(() => {}) // told where it is awaited
  const recorded = new Map(
    await Promise.all(urls.map(async (url, at) => [cells[at]!, await recordEvents(url)] as [string, CellEvent[]])),
  )
  fronts.play(recorded, eventsPerSecond / cells.length)
  const frames: Frames[] = []
  for (let turn = 1; turn <= options.rounds; turn++) {
    const seen = await watchFrames(browser, urls[0]!, { seconds: options.seconds, wanted: eventsPerSecond })
    frames.push(seen)
    say(`round ${turn}: ${toldOf(seen)}`)
  }
  over.abort()
  await traffic
  const version = browser.version()
  await browser.close()
  return { loads: loaded, frames, browser: version }
}

/** As the topology names them, in the order of the cells: those of the fronts. */
async function addressesOf([server]: readonly BenchServer[]): Promise<string[]> {
  const { data } = await read<{ data: { name: string; url: string }[] }>(`${server!.url}/v1/cells`)
  return cells.map((cell) => data.find(({ name }) => name === cell)!.url)
}

const isAudited = async (url: string): Promise<boolean> =>
  (await read<{ audit: unknown }>(`${url}/v1/pulse`)).audit !== null

/** Orders that are another cell's, one after the other: each is sent on, as the map shows. */
async function placeElsewhere(url: string, cell: string, signal: AbortSignal): Promise<void> {
  const stencil = makeStencil((key, body) => key + body, 'tok_ok')
  while (!signal.aborted) {
    const text = stamp(stencil, 1, skusSpread).toString('latin1')
    const response = await fetch(`${url}/v1/orders`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer sk_dev',
        'content-type': 'application/json',
        'idempotency-key': `${cell}.${text.slice(0, keyCharacters).replaceAll('-', '')}`,
      },
      body: text.slice(keyCharacters),
    })
    if (response.status !== 201)
      throw new CommandFailure(
        'unexpected_answer',
        `an order was answered ${response.status}: ${await response.text()}`,
      )
    await response.arrayBuffer()
    await pause(betweenOrdersMs)
  }
}

/** Of the cell's own log, whatever has happened there; enough of them that no two that follow each other are alike. */
async function recordEvents(url: string): Promise<CellEvent[]> {
  let events: CellEvent[] = []
  await eventually(async () => {
    events = (await read<{ data: CellEvent[] }>(`${url}/v1/events?limit=200&types=order.*,payment.*`)).data
    return events.length >= eventsRecordedMin
  }, recordMsMax)
  return events
}

async function read<T>(url: string): Promise<T> {
  const response = await fetch(url, { headers: { authorization: 'Bearer sk_dev' } })
  if (!response.ok) throw new CommandFailure('unexpected_answer', `GET ${url} answered ${response.status}`)
  return (await response.json()) as T
}

/** Of all frames but the slowest twentieth. */
const p5 = ({ gapsMs }: Frames): number => 1000 / percentileOf(gapsMs, 0.95)

const toldOf = (frames: Frames): string =>
  `${frames.worstSecond} frames in the worst second, ${grouped(frames.eventsPerSecond)} events/s, at most ${grouped(frames.behindMs)} ms behind`

function resultOf({ loads, frames, browser }: Measured, paging: Paging): Omit<BenchResult, 'postgres'> {
  const ofLoads = (of: (load: Load) => number, digits = 0) => round(median(loads.map(of)), digits)
  const ofFrames = (of: (frames: Frames) => number, digits = 0) => round(median(frames.map(of)), digits)
  const fields = {
    fps: ofFrames(({ worstSecond }) => worstSecond),
    fps_p5: ofFrames(p5, 1),
    events_per_s: ofFrames((one) => one.eventsPerSecond),
    behind_ms_max: Math.max(...frames.map(({ behindMs }) => behindMs)),
    first_paint_ms: ofLoads(({ firstPaintMs }) => firstPaintMs),
    load_ms: ofLoads(({ numbersMs }) => numbersMs),
    first_paint_kb: ofLoads(({ firstPaintKb }) => firstPaintKb, 1),
    first_paint_requests: ofLoads(({ requests }) => requests),
    page_first_ms: round(paging.firstMs, 2),
    page_last_ms: round(paging.lastMs, 2),
    page_last_ratio: paging.ratio,
    orders: paging.orders,
    pages: paging.pages,
    walk_s: round(paging.walkSeconds, 1),
    frame_ms_max: round(Math.max(...frames.flatMap(({ gapsMs }) => gapsMs)), 1),
    fps_by_round: frames.map(({ worstSecond }) => worstSecond),
    load_ms_by_turn: loads.map(({ numbersMs }) => round(numbersMs)),
  }
  return {
    fields,
    table: {
      columns: [{ head: 'of the control room' }, { head: 'measured', align: 'right' }],
      rows: [
        ['frames in the worst second', String(fields.fps)],
        ['events a second that the page took in', grouped(fields.events_per_s)],
        ['first paint, ms', String(fields.first_paint_ms)],
        ['until the numbers stand, ms', String(fields.load_ms)],
        ['over the wire until the first paint, kB', String(fields.first_paint_kb)],
        [`the first pages of ${grouped(fields.orders)} orders, ms`, String(fields.page_first_ms)],
        ['the last of them, ms', String(fields.page_last_ms)],
      ],
    },
    generator: `Chromium ${browser}, headless, drawing without a GPU`,
  }
}
