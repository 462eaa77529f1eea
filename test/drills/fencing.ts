// An old primary comes back after its standby was promoted, with a process on it that has the cell's key: first while nobody else
// runs under the cell's name, then beside the new one. Whatever it is asked, it must acknowledge nothing, and the others refuse it.
import { join } from 'node:path'
import { startEmbedded } from '../../src/runtime/embedded.ts'
import { processesIn } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import { embeddedUrl, makeDataFolder, startHoldfast } from '../support/holdfast.ts'
import { besides, type DrillCell, isReady, orderOf, prepareCells, receiveStock } from './cells.ts'
import { secondsSince, startLoad } from './load.ts'
import { makeLocal, promote } from './region-loss.ts'

export type FencingReport = {
  /** Orders that the old primary's process acknowledged, alone and beside the new one. */
  acknowledged_by_old: number
  /** What it said instead, and how often. */
  refused: Record<string, number>
  /** Until the other cells had told it that it is the old one. */
  frozen_seconds: number
  /** By the other cell, which heard both. */
  claimed_twice_heard: number
  acknowledged: number
  acknowledged_lost: number
  new_sells: boolean
}

const sku = 'A'
const triesOfEach = 300

export async function fencingDrill(): Promise<FencingReport> {
  const drill = await prepareCells({ eu1: { durability: 'geo', standby: 'us' }, us1: {} })
  const [eu1, us1] = drill.cells as [DrillCell, DrillCell]
  const apart = await makeDataFolder()
  const stopping: (() => unknown)[] = []
  try {
    await Promise.all([eu1.start(), us1.start()])
    await Promise.all([isReady(eu1), isReady(us1)])
    await receiveStock(eu1, sku, 100_000)
    let sold = 0
    const load = startLoad(eu1, { sku, clients: 8, onAnswer: (status) => void (status === 201 && sold++) })
    await eventually(() => sold >= 500, 60_000)
    await eu1.kill(processesIn(join(eu1.data, 'eu1', 'standby-us', 'pg')))
    const acknowledged = await load.stop()
    const promoted = await embeddedUrl(join(eu1.data, 'eu1'), 'standby-us')
    await promote(promoted)

    const key = `--cell-key=${join(eu1.data, 'eu1', 'cell.key')}`
    const server = await startEmbedded({ folder: join(eu1.data, 'eu1') })
    stopping.unshift(() => server.stop())
    const process = await startHoldfast([
      ...[`--data=${apart.data}`, `--topology=${drill.topology}`, key, `--database-url=${server.url}`],
    ])
    stopping.unshift(() => process.child.kill('SIGKILL'))
    const old = besides(eu1, process.url)
    const refused: Record<string, number> = {}
    let acknowledgedByOld = await ask(old, refused)

    await eu1.start([`--database-url=${promoted}`, key])
    await makeLocal(eu1)
    const startedAt = performance.now()
    acknowledgedByOld += await ask(old, refused)
    await eventually(async () => (await old.call('GET', '/readyz')).json?.reasons?.includes('frozen'), 20_000)
    const frozenSeconds = secondsSince(startedAt)
    acknowledgedByOld += await ask(old, refused)

    const { status } = await eu1.call('POST', '/v1/orders', { body: orderOf(sku), key: `eu1.${crypto.randomUUID()}` })
    let lost = 0
    for (const id of acknowledged) if ((await eu1.call('GET', `/v1/orders/${id}`)).status !== 200) lost++
    return {
      acknowledged_by_old: acknowledgedByOld,
      refused,
      frozen_seconds: frozenSeconds,
      claimed_twice_heard: await heardTwice(us1),
      acknowledged: acknowledged.length,
      acknowledged_lost: lost,
      new_sells: status === 201,
    }
  } finally {
    for (const stop of stopping) await stop()
    await drill.close()
    await apart.remove()
  }
}

/** How many orders it acknowledged, of those whose key names it. */
async function ask(cell: DrillCell, refused: Record<string, number>): Promise<number> {
  let [asked, acknowledged] = [0, 0]
  const load = startLoad(cell, {
    ...{ sku, clients: 8 },
    onAnswer(status, code) {
      asked++
      if (status === 201) acknowledged++
      else refused[code] = (refused[code] ?? 0) + 1
    },
  })
  await eventually(() => asked >= triesOfEach, 60_000)
  await load.stop()
  return acknowledged
}

async function heardTwice(cell: DrillCell): Promise<number> {
  const text = await (await fetch(`${cell.url}/metrics`)).text()
  return Number(/^holdfast_cells_claimed_twice_total\{[^}]*peer="eu1"[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0)
}
