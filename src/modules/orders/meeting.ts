// Two orders of one idempotency key, placed in two cells that could not ask each other: when they meet, one of them gives way to the
// other, with its money back. The elder stands, unless it is unpaid and the younger is paid. Each home decides of its own order, at
// once with what it knows of it, and by what the other's home has said, which may be old: since an order that is paid counts as paid
// for good (`wasPaid`), each gives way only to one that comes before it in the end, so that never all of them do.
// Either may be the one that hears of the other: a key is looked up when its event arrives, and may be taken a moment later. A key
// that names a cell is remembered there as taken, so that it is not taken again; the same holds for what was, before it was heard.
import { type CellName, parseWireId, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { KeyRow } from './batch-state.ts'
import { type Standing, standingOf } from './money.ts'
import type { IdempotencyKey, Order, RememberKey, SharedKey, SupersedeOrder } from './types.ts'

type Home = {
  cell: CellName
  /** How an order of that cell does. Rejects when the cell is out of reach. */
  standing(of: CellName, order: { shopId: ShopId; id: Uuid }): Promise<Standing>
  /** The order as it is then. */
  supersede(command: SupersedeOrder): Promise<Order>
}

export type MeetingOptions = Home & {
  /** What this cell knows of keys. */
  findKeys(keys: readonly { shopId: ShopId; hash: string }[]): Promise<KeyRow[]>
  /** A key that names this cell was taken by another: it is not taken here any more, unless it has been. */
  rememberKey(command: RememberKey, key: IdempotencyKey): Promise<void>
  /** Has the order's home settle it with this cell's, as `settlePair` does, whose answer it gives. Rejects when that is out of reach. */
  tellOther(of: CellName, order: { shopId: ShopId; id: Uuid; other: Uuid }): Promise<boolean>
  /** One key, two different requests: a mistake of the caller, which nobody but he can settle. */
  onMismatch(shopId: ShopId, order: string, other: string): void
}

type Pair = { shopId: ShopId; own: Uuid; from: CellName; id: Uuid }

/** Whether an order is the younger: by the UUID first, which begins with its time, then by the cell's name. */
export const isYounger = (a: { id: Uuid; cell: CellName }, b: { id: Uuid; cell: CellName }): boolean =>
  a.id > b.id || (a.id === b.id && a.cell > b.cell)

/** Of a peer's events those that tell of a key which this cell may have taken. May be told twice. Rejects when the peer is needed and out of reach. */
export async function meetOrders(options: MeetingOptions, from: CellName, events: readonly LogEvent[]): Promise<void> {
  const keyed = events.flatMap((event) => keyedThing(event) ?? [])
  const ours = keyed.filter(({ names }) => names === options.cell)
  await rememberKeys(options, from, ours)
  const theirs = keyed.filter(({ isOrder }) => isOrder) // of two holds each runs out by itself
  if (theirs.length === 0) return
  const found = await options.findKeys(theirs)
  const known = new Map(found.map((row) => [`${row.shopId} ${row.hash}`, row]))
  for (const { shopId, hash, request, id } of theirs) {
    const own = known.get(`${shopId} ${hash}`)
    if (!own || own.resultId === null || own.takenBy !== null) continue
    const names = [toWireId('ord', options.cell, own.resultId), toWireId('ord', from, id)] as const
    if (own.request !== request) options.onMismatch(shopId, ...names)
    else await meetOrder(options, { shopId, own: own.resultId, from, id })
  }
}

async function rememberKeys(options: MeetingOptions, takenBy: CellName, keys: readonly KeyedThing[]): Promise<void> {
  for (let at = 0; at < keys.length; at += limits.keysRememberedAtOnce) {
    const remembered = keys
      .slice(at, at + limits.keysRememberedAtOnce)
      .map(({ shopId, hash, request, id: resultId }) => {
        return options.rememberKey({ kind: 'remember_key', shopId, resultId, takenBy }, { hash, request })
      })
    await Promise.all(remembered)
  }
}

/** Until one of the two stands alone. What was heard may be older than what the other's home knows by now; then it is asked again. */
async function meetOrder(options: MeetingOptions, pair: Pair): Promise<void> {
  const { shopId, own, from, id } = pair
  for (let round = 0; round < limits.meetingRoundsMax; round++) {
    if (!(await settlePair(options, pair))) return
    if (!(await options.tellOther(from, { shopId, id, other: own }))) return
  }
  throw new Error(`${toWireId('ord', options.cell, own)} and ${toWireId('ord', from, id)} both stand`)
}

/** Gives way where this cell's order has to. Resolves with whether both may still stand: then the other's home is to do the same. */
export async function settlePair(home: Home, { shopId, own, from, id }: Pair): Promise<boolean> {
  const other = await home.standing(from, { shopId, id })
  if (!other.stands) return false
  const isElder = isYounger({ id, cell: from }, { id: own, cell: home.cell })
  if (isElder && !other.isPaid) return true
  const by = toWireId('ord', from, id)
  const unlessPaid = isElder || !other.isPaid
  const order = await home.supersede({ kind: 'supersede_order', shopId, orderId: own, by, unlessPaid, ifVersion: null })
  return standingOf(order).stands
}

type KeyedThing = SharedKey & { shopId: ShopId; id: Uuid; isOrder: boolean }

/** What tells of a key, by its type. */
export const keyedEvents = ['order.keyed', 'hold.keyed']

function keyedThing(event: LogEvent): KeyedThing | undefined {
  if (!keyedEvents.includes(event.type)) return undefined
  const { shop_id: shopId, key_hash: hash, request_hash: request, names, ...of } = JSON.parse(event.data) as Keyed
  const id = parseWireId(of.order_id ?? of.hold_id ?? '')
  return id && { shopId, hash, request, names, id: id.uuid, isOrder: event.type === 'order.keyed' }
}
type Keyed = {
  shop_id: ShopId
  order_id?: string
  hold_id?: string
  key_hash: string
  request_hash: string
  names: CellName | null
}
