// Compares the journals of all clients with what all cells hold: orders are where their ids say and as acknowledged, a key has one
// order that stands, units are as many as were received and corrected, money is where the orders say.
import { createClient, type Order } from '../../../sdk/src/client.ts'
import { type Accepted, acceptedOf, only, tally, tellDifferences } from '../accepted.ts'
import { checkStore } from '../check-store.ts'
import { again, contents, everyOrder, holds, oneResult } from '../compare.ts'
import { compareCharges } from '../compare-money.ts'
import { compareSteps } from '../compare-steps.ts'
import { type Promises, readJournal } from '../journal.ts'
import { type Snapshot, takeSnapshot } from '../snapshot.ts'
import { skus } from '../workload.ts'
import { databasesOf, inFlight, unmet } from './meeting.ts'
import { type Cell, cells } from './plan.ts'
import type { Scene } from './scene.ts'
import { countedSku, firstUnits, plentySku } from './stock.ts'

export type Comparison = {
  faults: string[]
  intents: number
  acknowledged: Record<string, number>
  refused: Record<string, number>
  orders: Record<string, number>
  /** Orders that were given up for an elder one of the same key. */
  duplicates: number
  /** Units that have gone from one cell to another. */
  moved: number
}

const isShared = (key: string): boolean => key.startsWith('any-')

export async function compare({ data, urls, journals }: Scene): Promise<Comparison> {
  const promises = together(cells.map((cell) => readJournal(journals[cell])))
  const databases = await databasesOf(data)
  const snapshots = await Promise.all(cells.map((cell) => takeSnapshot(databases[cell], cell)))
  const all = merged(snapshots)
  const accepted = acceptedOf(promises)
  const told = new Map<string, Order>()
  for (const cell of cells)
    for (const [id, order] of await everyOrder(createClient({ url: urls[cell], key: 'sk_dev' }))) told.set(id, order)
  const answers = [...promises.answers.values()].flat()
  const faults = [
    ...[...promises.intents.keys()].filter((key) => !promises.answers.has(key)).map((key) => `${key} has no answer`),
    ...oneResult({ answers: new Map([...promises.answers].filter(([key]) => !isShared(key))) }),
    ...contents(accepted, told),
    ...keys(accepted, all),
    ...(await unmet(databases)),
    ...holds(accepted, all),
    ...compareSteps(accepted, all),
    ...compareCharges(withAllShared(accepted, promises, all), all),
    ...(await sentAgain(accepted, urls)),
    ...units(accepted, snapshots),
    ...(await inFlight(databases)),
    ...snapshots.flatMap((snapshot, at) => checkStore(snapshot).map((fault) => `${cells[at]}: ${fault}`)),
    ...(await audits(urls)),
  ]
  return {
    faults,
    intents: promises.intents.size,
    acknowledged: tally(accepted.map(({ intent }) => intent.kind)),
    refused: tally(answers.flatMap((answer) => (answer.ok ? [] : [answer.code]))),
    orders: tally(all.orders.map(({ status }) => status)),
    duplicates: all.orders.filter(({ cancelReason }) => cancelReason === 'duplicate').length,
    moved: all.events.reduce(
      (sum, { type, moves }) => (type === 'stock.transferred' ? sum + Math.max(0, moves[1] ?? 0) : sum),
      0,
    ),
  }
}

const together = (all: readonly Promises[]): Promises => ({
  intents: new Map(all.flatMap(({ intents }) => [...intents])),
  answers: new Map(all.flatMap(({ answers }) => [...answers])),
})

const merged = (all: readonly Snapshot[]): Snapshot => ({
  orders: all.flatMap(({ orders }) => orders),
  holds: all.flatMap((one) => one.holds),
  rows: all.flatMap(({ rows }) => rows),
  events: all.flatMap(({ events }) => events),
  charges: all.flatMap(({ charges }) => charges),
  operations: all.flatMap(({ operations }) => operations),
  stripeEvents: 0,
})

/** A key that names a cell has one order, and there; of those of another key all but one are its duplicates. */
function keys(accepted: readonly Accepted[], { orders }: Snapshot): string[] {
  const faults: string[] = []
  const wanted = new Map(only(accepted, 'order').map((one) => [one.intent.key, one]))
  const standing = new Set<string>()
  const made = tally(orders.map(({ key }) => String(key)))
  for (const { id, key, cancelReason } of orders) {
    if (cancelReason !== 'duplicate') standing.add(String(key))
    if (isShared(String(key))) continue
    const { intent } = wanted.get(String(key)) ?? {}
    if (!intent) faults.push(`${key} was never acknowledged and made ${id}`)
    if (made[String(key)]! > 1) faults.push(`${key} made ${made[String(key)]} orders, ${id} is one`)
    if (intent && !intent.body.hold_id && !id.startsWith(`ord_${intent.key.split('.')[0]}_`))
      faults.push(`${key} made ${id}, which is not where the key says`)
  }
  for (const [key] of wanted)
    if (!standing.has(key)) faults.push(`${key} was acknowledged and has no order that counts`)
  return faults
}

/** Where the key says, so that no wide area is in between. */
async function sentAgain(accepted: readonly Accepted[], urls: Record<Cell, string>): Promise<string[]> {
  const found = cells.map((cell) => {
    const own = accepted.filter(({ intent }) => intent.key.startsWith(`${cell}.`))
    return again(own, createClient({ url: urls[cell], key: 'sk_dev' }))
  })
  return (await Promise.all(found)).flat()
}

/** A request by hand may have been refused in one region after it was carried out in another, unseen. */
function withAllShared(accepted: readonly Accepted[], { intents }: Promises, { orders }: Snapshot): Accepted[] {
  const known = new Set(accepted.map(({ intent }) => intent.key))
  const unseen = new Set(orders.map(({ key }) => String(key)).filter((key) => isShared(key) && !known.has(key)))
  return [...accepted, ...[...unseen].map((key) => ({ intent: intents.get(key)!, contents: [], replayed: false }))]
}

/** Over all cells: nothing came from nowhere, and what was counted last is what is there. */
function units(accepted: readonly Accepted[], snapshots: readonly Snapshot[]): string[] {
  const faults: string[] = []
  const name = (sku: string | undefined, delta: number | undefined) => `${sku} by ${delta}`
  const changed = snapshots
    .flatMap(({ events }) => events)
    .filter(({ type, data }) => type === 'stock.adjusted' && data.reason !== 'counted')
    .map(({ data }) => name(data.sku, data.delta))
  const first = [...skus, plentySku, countedSku].map((sku) => name(sku, firstUnits(sku)))
  const asked = only(accepted, 'adjust').filter(({ intent }) => intent.body.delta !== undefined)
  const wanted = [...first, ...asked.map(({ intent: { body } }) => name(body.sku, body.delta))]
  faults.push(...tellDifferences(tally(wanted), tally(changed)))
  const moved: Record<string, number> = {}
  for (const { rows, events } of snapshots) {
    const skuOf = new Map(rows.map(({ id, sku }) => [id, sku]))
    for (const { moves } of events.filter(({ type }) => type === 'stock.transferred')) {
      const sku = skuOf.get(moves[0] ?? 0)
      if (sku !== undefined) moved[sku] = (moved[sku] ?? 0) + moves[1]!
    }
  }
  for (const [sku, sum] of Object.entries(moved))
    if (sum !== 0) faults.push(`${sku}: ${sum} units more arrived in cells than left cells`)
  const counts = only(accepted, 'adjust').filter(({ intent }) => intent.body.set !== undefined)
  const there = snapshots
    .flatMap(({ rows }) => rows)
    .reduce((sum, { sku, onHand, missing }) => (sku === countedSku ? sum + onHand - missing : sum), 0)
  const last = counts.at(-1)?.intent.body.set
  if (last !== undefined && last !== there)
    faults.push(`${last} of ${countedSku} were counted last and ${there} are there`)
  return faults
}

async function audits(urls: Record<Cell, string>): Promise<string[]> {
  const found = await Promise.all(
    cells.map(async (cell) => ({
      cell,
      audit: await createClient({ url: urls[cell], key: 'sk_dev' }).audit({ fresh: true }),
    })),
  )
  return found.flatMap(({ cell, audit }) => {
    const { consistent, differences, money } = audit
    const isWhole = consistent && money.behind === 0 && money.dead === 0
    return isWhole ? [] : [`the audit of ${cell} says ${JSON.stringify({ consistent, differences, money })}`]
  })
}
