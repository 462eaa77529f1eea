// A cell is put back from an old backup, and nobody tells it: it finds out from another cell, sells nothing, is reconciled, and
// then exactly the units that there are can be sold, over both.
import { chmod, chown, cp, lchown, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { type Answer, type DrillCell, isReady, orderOf, prepareCells, receiveStock } from './cells.ts'

export type RestoreReport = {
  found_seconds: number
  reconcile_seconds: number
  /** By the frozen cell itself; others take what comes to it. */
  sold_while_frozen: number
  sold_by_the_other: number
  changed_while_frozen: boolean
  reads_while_frozen: boolean
  units: number
  /** Over both cells, afterwards. */
  units_after: number
  /** Of orders that stand, when nothing is left to be sold. */
  sold_in_all: number
}

const units = 30
const sku = 'A'

export async function restoreDrill(): Promise<RestoreReport> {
  const drill = await prepareCells({ eu1: {}, us1: {} })
  const [eu1, us1] = drill.cells as [DrillCell, DrillCell]
  const seconds = (since: number): number => Math.round((performance.now() - since) / 10) / 100
  try {
    await Promise.all([eu1.start(), us1.start()])
    await Promise.all([isReady(eu1), isReady(us1)])
    await receiveStock(eu1, sku, units)
    const { json: early } = await sell(eu1)
    for (let turn = 0; turn < 2; turn++) await sell(eu1)
    await eventually(async () => (await unitsOf(us1)).onHand > 0)

    await eu1.stop()
    const cluster = join(eu1.data, 'eu1', 'pg')
    await cp(cluster, `${cluster}.backup`, { recursive: true, preserveTimestamps: true })
    await sameOwner(cluster, `${cluster}.backup`)
    await eu1.start()
    await isReady(eu1)
    await sellUntilMoved(eu1, us1)
    await eu1.stop()
    await rm(cluster, { recursive: true })
    await cp(`${cluster}.backup`, cluster, { recursive: true, preserveTimestamps: true })
    await sameOwner(`${cluster}.backup`, cluster)

    await eu1.start()
    const startedAt = performance.now()
    await eventually(async () => reasonsOf(await eu1.call('GET', '/readyz')).includes('frozen'), 30_000)
    const foundSeconds = seconds(startedAt)
    const tries = await Promise.all(Array.from({ length: 10 }, () => sell(eu1)))
    const cancelled = await eu1.call('POST', `/v1/orders/${early.id}/cancel`, { body: { reason: 'buyer' } })
    const read = await eu1.call('GET', `/v1/orders/${early.id}`)

    const reconcilingAt = performance.now()
    const ended = await eu1.command(['reconcile', `--data=${eu1.data}`, '--json'])
    if (ended.code !== 0) throw new Error(`it was not reconciled: ${ended.stdout}${ended.stderr}`)
    await isReady(eu1)
    const reconcileSeconds = seconds(reconcilingAt)
    const after = [await unitsOf(eu1), await unitsOf(us1)]
    for (const cell of [eu1, us1]) await Promise.all(Array.from({ length: units }, () => sell(cell)))
    const sold = [await unitsOf(eu1), await unitsOf(us1)]
    return {
      found_seconds: foundSeconds,
      reconcile_seconds: reconcileSeconds,
      sold_while_frozen: takenBy('eu1', tries),
      sold_by_the_other: takenBy('us1', tries),
      changed_while_frozen: cancelled.json?.code !== 'cell_frozen',
      reads_while_frozen: read.status === 200,
      units,
      units_after: after.reduce((sum, { onHand, missing }) => sum + onHand - missing, 0),
      sold_in_all: sold.reduce((sum, { taken }) => sum + taken, 0),
    }
  } finally {
    await drill.close()
  }
}

const takenBy = (cell: string, answers: readonly Answer[]): number =>
  answers.filter(({ status, json }) => status === 201 && json.id.startsWith(`ord_${cell}_`)).length

/** Its key keeps it at this cell, whatever that can do. */
const sell = (cell: DrillCell): Promise<Answer> =>
  cell.call('POST', '/v1/orders', { body: orderOf(sku), key: `${cell.name}.${crypto.randomUUID()}` })

/** Orders at the other cell, until it has asked for units that the backup still has here. */
async function sellUntilMoved(giver: DrillCell, taker: DrillCell): Promise<void> {
  const before = (await unitsOf(giver)).onHand
  await eventually(async () => {
    await sell(taker)
    return (await unitsOf(giver)).onHand < before - 5
  }, 30_000)
}

/** A cell's own part. `missing`: sent in the time that it has forgotten, and not there to be taken from. */
async function unitsOf(cell: DrillCell) {
  const { json } = await cell.call('GET', `/v1/stock/${sku}`)
  const nothing = { on_hand: 0, reserved: 0, committed: 0, available: 0 }
  const part = json?.cells?.find((one: { cell: string }) => one.cell === cell.name) ?? nothing
  const taken = part.reserved + part.committed
  return { onHand: part.on_hand, taken, missing: part.on_hand - taken - part.available }
}

const reasonsOf = ({ json }: Answer): string[] => json?.reasons ?? []

async function sameOwner(of: string, to: string): Promise<void> {
  const { uid, gid } = await stat(of)
  await chown(to, uid, gid)
  for (const entry of await readdir(to, { recursive: true })) await lchown(join(to, entry), uid, gid)
  await chmod(to, 0o700)
}
