// The auditor's own books, kept from the event log alone: what is on hand, held and sold of each SKU, and what each hold and
// order is. Written apart from `decide`, in another way: it sums, it does not allocate.
import { bareName, keyOfSku } from './names.ts'
import { Violation } from './violation.ts'

/** By shop and SKU. */
export type Units = Map<string, number>
export type SkuBook = { onHand: number; reserved: number; committed: number; allowance: number; counted: boolean }
export type HoldBook = { status: string; lines: Units; expiresAt: number; changedAt: number }
export type OrderBook = {
  status: string
  /** Neither cancelled nor shipped. */
  left: Units
  shipped: Units
  returned: Units
  /** What is in parcels that have not left. */
  parcels: Map<string, Units>
  expiresAt: number | null
  changedAt: number
}

type Named = { shopId: number; id: string }
type Fact = {
  shopId: number
  subject: string
  subjectVersion: number
  type: string
  data: Record<string, unknown>
  moves: readonly number[]
}

export function createBooks() {
  const skus = new Map<string, SkuBook>()
  const holds = new Map<string, HoldBook>()
  const orders = new Map<string, OrderBook>()
  const versions = new Map<string, number>()
  const ledger = new Map<number, number[]>()
  let facts = 0
  /** Units of a hold that an order is about to take over. */
  let handedOver: { order: string; units: Units } | null = null

  const bookOf = (sku: string): SkuBook => {
    const book = skus.get(sku) ?? { onHand: 0, reserved: 0, committed: 0, allowance: 0, counted: true }
    skus.set(sku, book)
    return book
  }
  const sellable = (sku: string): number => {
    const { onHand, reserved, committed, allowance, counted } = bookOf(sku)
    return counted ? onHand + allowance - reserved - committed : Number.POSITIVE_INFINITY
  }

  /** P1: whatever takes units must find them there. */
  function take(units: Units, what: string): void {
    for (const [sku, quantity] of units) {
      bookOf(sku).reserved += quantity
      if (sellable(sku) < 0) throw new Violation('P1', `${what} oversold ${sku} by ${-sellable(sku)}`)
    }
  }

  function give(units: Units, counter: 'reserved' | 'committed'): void {
    for (const [sku, quantity] of units) bookOf(sku)[counter] -= quantity
  }

  function record({ shopId, subject, subjectVersion, type, data, moves }: Fact, now: number): void {
    facts++
    const version = versions.get(`${shopId} ${subject}`) ?? 0
    if (subjectVersion !== version + 1) {
      throw new Violation('P5', `${subject} went from version ${version} to ${subjectVersion} (${type})`)
    }
    versions.set(`${shopId} ${subject}`, subjectVersion)
    for (let at = 0; at < moves.length; at += 5) {
      const sums = ledger.get(moves[at]!) ?? [0, 0, 0, 0]
      ledger.set(
        moves[at]!,
        sums.map((sum, column) => sum + moves[at + 1 + column]!),
      )
    }
    const kind = type.slice(0, type.indexOf('.'))
    const of = { shopId, id: bareName(subject) }
    if (kind === 'hold') recordHold(of, type, data, now)
    else if (kind === 'order') recordOrder(of, type, data, now)
    else if (kind === 'shipment' || kind === 'return' || kind === 'payment') recordPart(of, type, data)
    else recordStock(shopId, type, data)
  }

  function recordHold({ shopId, id }: Named, type: string, data: Record<string, unknown>, now: number): void {
    if (type === 'hold.created') {
      const lines = unitsOf(shopId, data.lines)
      holds.set(id, { status: 'active', lines, expiresAt: Date.parse(String(data.expires_at)), changedAt: facts })
      take(lines, id)
      return
    }
    const hold = holds.get(id)
    if (hold?.status !== 'active') throw new Violation('P1', `${type} of ${id}, which is ${hold?.status ?? 'unknown'}`)
    hold.changedAt = facts
    if (type === 'hold.extended') {
      if (hold.expiresAt <= now) throw new Violation('P1', `${id} was extended after it had expired`)
      hold.expiresAt = Date.parse(String(data.expires_at))
      return
    }
    if (type === 'hold.expired' && hold.expiresAt > now) throw new Violation('P1', `${id} expired too early`)
    if (type === 'hold.consumed' && hold.expiresAt <= now)
      throw new Violation('P1', `${id} was used after it had expired`)
    hold.status = type.slice('hold.'.length)
    give(hold.lines, 'reserved')
    handedOver = type === 'hold.consumed' ? { order: bareName(String(data.order_id)), units: hold.lines } : null
  }

  function recordOrder({ shopId, id }: Named, type: string, data: Record<string, unknown>, now: number): void {
    if (type === 'order.placed') {
      recordPlaced(id, unitsOf(shopId, data.lines))
      return
    }
    const order = orders.get(id)
    if (!order || (order.status === 'cancelled' && type !== 'order.edited'))
      // its tags may still be of use
      throw new Violation('P2', `${type} of ${id}, which is ${order?.status ?? 'unknown'}`)
    order.changedAt = facts
    const counter = isUnconfirmed(order) ? 'reserved' : 'committed'
    if (type === 'order.confirmed') {
      if (!isUnconfirmed(order)) throw new Violation('P2', `${id} was confirmed twice`)
      order.status = 'confirmed'
      give(order.left, 'reserved')
      for (const [sku, quantity] of order.left) bookOf(sku).committed += quantity
    } else if (type === 'order.lines_cancelled') {
      const gone = unitsOf(shopId, data.lines)
      for (const [sku, quantity] of gone) order.left.set(sku, (order.left.get(sku) ?? 0) - quantity)
      if ([...order.left.values()].some((quantity) => quantity < 0))
        throw new Violation('P1', `${id} gave back more than it had`)
      give(gone, counter)
    } else if (type === 'order.cancelled') {
      const isDue = order.expiresAt !== null && order.expiresAt <= now // of one with money set aside, the books of money know
      if (data.reason === 'unpaid' && !isDue) throw new Violation('P2', `${id} was cancelled as unpaid too early`)
      if (order.shipped.size > 0) throw new Violation('P2', `${id} was cancelled after it was shipped`)
      if (order.parcels.size > 0) throw new Violation('P2', `${id} was cancelled, and parcels of it are open`)
      order.status = 'cancelled'
      give(order.left, counter)
    } else if (type === 'order.unpaid') {
      if (order.status !== 'confirmed' && order.status !== 'in_review')
        throw new Violation('P2', `${id} waits for money again, and is ${order.status}`)
      if (order.shipped.size > 0) throw new Violation('P2', `${id} waits for money again, and was shipped`)
      order.status = 'pending'
      give(order.left, counter)
      for (const [sku, quantity] of order.left) bookOf(sku).reserved += quantity
    } else if (type === 'order.in_review') {
      if (order.status !== 'pending') throw new Violation('P2', `${id} came into review, and is ${order.status}`)
      order.status = 'in_review'
    } else if (type === 'order.completed') {
      const isDone = order.status === 'confirmed' && [...order.left.values()].every((quantity) => quantity === 0)
      if (!isDone) throw new Violation('P2', `${id} was completed, and is ${order.status} with ${[...order.left]}`)
      order.status = 'completed'
    } else if (type === 'order.short_picked') {
      for (const { shipment_id, lines } of data.shipments as { shipment_id: string; lines: unknown }[])
        for (const [sku, quantity] of unitsOf(shopId, lines)) add(parcelOf(order, id, shipment_id), sku, -quantity)
    } else if (!quiet.has(type)) throw new Violation('P5', `unknown event ${type}`)
    checkParcels(order, id)
  }

  function parcelOf(order: OrderBook, id: string, shipment: unknown): Units {
    const parcel = order.parcels.get(String(shipment))
    if (!parcel) throw new Violation('P2', `${id} has no open parcel ${shipment}`)
    return parcel
  }

  /** No unit is in two parcels, or in one when it is not the order's any more. */
  function checkParcels(order: OrderBook, id: string): void {
    const held: Units = new Map()
    for (const parcel of order.parcels.values()) for (const [sku, quantity] of parcel) add(held, sku, quantity)
    for (const [sku, quantity] of held) {
      if (quantity > (order.left.get(sku) ?? 0))
        throw new Violation('P1', `parcels of ${id} hold ${quantity} of ${sku}, of which it has ${order.left.get(sku)}`)
    }
  }

  /** Shipments, returns and payments are told on their order's subject. */
  function recordPart({ shopId, id }: Named, type: string, data: Record<string, unknown>): void {
    const order = orders.get(id)
    if (!order) throw new Violation('P2', `${type} of ${id}, which nobody placed`)
    order.changedAt = facts
    if (type === 'shipment.created') {
      if (order.status !== 'confirmed') throw new Violation('P2', `${id} was shipped, and is ${order.status}`)
      const gone = unitsOf(shopId, data.lines)
      const packed = order.parcels.get(String(data.shipment_id))
      if (packed && gone.size !== [...packed].filter(([sku, quantity]) => quantity === gone.get(sku)).length)
        throw new Violation('P2', `${id}: what left is not what was packed in ${data.shipment_id}`)
      order.parcels.delete(String(data.shipment_id))
      give(gone, 'committed')
      for (const [sku, quantity] of gone) {
        if (bookOf(sku).counted) bookOf(sku).onHand -= quantity
        add(order.left, sku, -quantity)
        add(order.shipped, sku, quantity)
        if (order.left.get(sku)! < 0) throw new Violation('P1', `${id} was shipped more of ${sku} than it had`)
        if (bookOf(sku).onHand < 0) throw new Violation('P1', `${sku} was shipped, and was not there`)
      }
    } else if (type === 'shipment.picking') {
      if (order.status !== 'confirmed') throw new Violation('P2', `${id} was picked, and is ${order.status}`)
      order.parcels.set(String(data.shipment_id), unitsOf(shopId, data.lines))
    } else if (type === 'shipment.packed') {
      parcelOf(order, id, data.shipment_id)
    } else if (type === 'shipment.cancelled') {
      parcelOf(order, id, data.shipment_id)
      order.parcels.delete(String(data.shipment_id))
    } else if (type === 'return.received') {
      for (const { resellable, ...line } of data.lines as { sku: string; quantity: number; resellable: boolean }[]) {
        const sku = keyOfSku({ shopId, sku: line.sku })
        add(order.returned, sku, line.quantity)
        if (order.returned.get(sku)! > (order.shipped.get(sku) ?? 0))
          throw new Violation('P1', `${id} got back more of ${sku} than was shipped`)
        if (resellable && bookOf(sku).counted) bookOf(sku).onHand += line.quantity
      }
    } else if (!quiet.has(type) && !type.startsWith('payment.')) throw new Violation('P5', `unknown event ${type}`)
    checkParcels(order, id)
  }

  function recordPlaced(id: string, units: Units): void {
    if (orders.has(id)) throw new Violation('P3', `${id} was placed twice`)
    const none = { shipped: new Map(), returned: new Map(), parcels: new Map(), expiresAt: null }
    orders.set(id, { status: 'pending', left: new Map(units), changedAt: facts, ...none })
    if (handedOver?.order !== id) {
      take(units, id)
      return
    }
    for (const [sku, quantity] of units) {
      if (quantity > (handedOver.units.get(sku) ?? 0))
        throw new Violation('P1', `${id} took more of ${sku} than its hold had`)
      bookOf(sku).reserved += quantity
    }
    handedOver = null
  }

  function recordStock(shopId: number, type: string, data: Record<string, unknown>): void {
    const sku = keyOfSku({ shopId, sku: String(data.sku) })
    const book = bookOf(sku)
    if (type === 'stock.adjusted') {
      const delta = Number(data.delta)
      book.onHand += delta
      if (book.onHand < 0) throw new Violation('P1', `${sku} has ${book.onHand} on hand`)
      const isFact = ['counted', 'damaged', 'lost'].includes(String(data.reason))
      if (!isFact && delta < 0 && sellable(sku) < 0) throw new Violation('P1', `a decision left ${sku} short`)
    } else if (type === 'stock.policy_set') {
      book.allowance = Number(data.allowance)
      book.counted = data.tracking === 'counted'
    } else if (type !== 'stock.short') throw new Violation('P5', `unknown event ${type}`)
  }

  return { skus, holds, orders, ledger, sellable, record, facts: () => facts }
}

/** Tell something else than units. */
const quiet = new Set(['order.approved', 'order.credited', 'order.edited', 'shipment.delivered', 'return.requested'])

const isUnconfirmed = ({ status }: OrderBook): boolean => status === 'pending' || status === 'in_review'

const add = (units: Units, sku: string, by: number): void => void units.set(sku, (units.get(sku) ?? 0) + by)

export type Books = ReturnType<typeof createBooks>

function unitsOf(shopId: number, lines: unknown): Units {
  const units: Units = new Map()
  for (const { sku, quantity } of lines as { sku: string; quantity: number }[]) {
    const key = keyOfSku({ shopId, sku })
    units.set(key, (units.get(key) ?? 0) + quantity)
  }
  return units
}
