// What was acknowledged of orders after their placing: each step is in the log once and none beside it, and each shipment,
// return, refund and payment that was answered stands in its order, as answered.
import type { Payment, Refund, Return, Shipment } from '../../sdk/src/client.ts'
import { type Accepted, only, tally, tellDifferences } from './accepted.ts'
import { partId, type Snapshot, type StoredOrder } from './snapshot.ts'

export const compareSteps = (accepted: readonly Accepted[], snapshot: Snapshot): string[] => [
  ...changes(accepted, snapshot),
  ...parts(accepted, snapshot),
]

const changeOf: Record<string, string> = {
  'order.cancelled': 'cancel',
  'order.lines_cancelled': 'cancel',
  'order.credited': 'refund',
  'shipment.created': 'ship',
  'shipment.delivered': 'deliver',
  'return.requested': 'return',
  'return.received': 'receive',
  'hold.extended': 'extend',
}

/** What nobody asked for: time was over, or another cell had the order. */
const isOurs = new Set(['unpaid', 'duplicate'])

/** Each acknowledged change happened once, and none that was not acknowledged did. */
function changes(accepted: readonly Accepted[], { events }: Snapshot): string[] {
  const done = events.filter(({ type, data }) => Object.hasOwn(changeOf, type) && !isOurs.has(String(data.reason)))
  const asked = new Set(Object.values(changeOf))
  const wanted = accepted.flatMap(({ intent }) => {
    if (!asked.has(intent.kind)) return []
    if ('orderId' in intent) return [`${intent.kind} of ${intent.orderId}`]
    return intent.kind === 'extend' ? [`extend of ${intent.holdId}`] : []
  })
  return tellDifferences(tally(wanted), tally(done.map(({ type, subject }) => `${changeOf[type]} of ${subject}`)))
}

/** By name, so that one that was lost, doubled, or changed on the way is told. */
function parts(accepted: readonly Accepted[], { orders }: Snapshot): string[] {
  const shipped = only(accepted, 'ship').map(({ contents }) => shipmentTold(contents[0] as Shipment))
  const announced = only(accepted, 'return').map(({ contents }) => returnTold(contents[0] as Return))
  const received = only(accepted, 'receive').map(({ intent }) => receiptTold(intent.returnId, intent.body.lines))
  const delivered = only(accepted, 'deliver').map(({ intent }) => `delivery of ${intent.shipmentId}`)
  const stored = orders.flatMap(partsOf)
  const theirs = new Set(stored)
  const refunds = only(accepted, 'refund').map(({ contents }) => {
    const { id, order_id, amount } = contents[0] as Refund
    return `refund ${id} of ${order_id}: ${amount.amount}`
  })
  const payments = only(accepted, 'pay').map(({ contents }) => {
    const { id, order_id, amount } = contents[0] as Payment
    return `payment ${id} of ${order_id}: ${amount.amount}`
  })
  const counted = stored.filter((name) => !/^(refund|payment) /.test(name)) // of those there are more than were asked for
  return [
    ...tellDifferences(tally([...shipped, ...announced, ...received, ...delivered]), tally(counted)),
    ...[...refunds, ...payments]
      .filter((name) => !theirs.has(name))
      .map((name) => `${name} was acknowledged and is lost`),
  ]
}

const linesTold = (lines: readonly { sku: string; quantity: number }[]): string =>
  Object.entries(tallyUnits(lines))
    .toSorted()
    .map(([sku, quantity]) => `${quantity} ${sku}`)
    .join(', ')

function tallyUnits(lines: readonly { sku: string; quantity: number }[]): Record<string, number> {
  const units: Record<string, number> = {}
  for (const { sku, quantity } of lines) units[sku] = (units[sku] ?? 0) + quantity
  return units
}

const shipmentTold = ({ id, order_id, tracking_number, lines }: Omit<Shipment, 'status'>): string =>
  `shipment ${id} of ${order_id} as ${tracking_number}: ${linesTold(lines)}`
const returnTold = ({ id, order_id, lines }: Pick<Return, 'id' | 'order_id' | 'lines'>): string =>
  `return ${id} of ${order_id}: ${linesTold(lines)}`
const receiptTold = (id: string, lines: readonly { sku: string; quantity: number; resellable: boolean }[]): string =>
  `receipt of ${id}: ${linesTold(lines)}, ${lines.filter(({ resellable }) => resellable).length} resellable`

/** The same names, of what is stored. */
function partsOf({ id, lines, life }: StoredOrder): string[] {
  if (life === null) return []
  const named = (parts: readonly { line: number; quantity: number }[]) =>
    parts.map(({ line, quantity }) => ({ sku: lines[line]!.sku, quantity }))
  return [
    ...life.shipments.flatMap((one) => {
      const wire = partId('shp', one.id, { id })
      const told = `shipment ${wire} of ${id} as ${one.trackingNumber}: ${linesTold(named(one.lines))}`
      return one.status === 'delivered' ? [told, `delivery of ${wire}`] : [told]
    }),
    ...life.returns.flatMap((one) => {
      const wire = partId('ret', one.id, { id })
      const told = `return ${wire} of ${id}: ${linesTold(named(one.lines))}`
      if (one.status !== 'received') return [told]
      const resellable = one.received.some((line) => line.resellable) ? 1 : 0 // the client sends a line at a time
      return [told, `receipt of ${wire}: ${linesTold(named(one.received))}, ${resellable} resellable`]
    }),
    ...life.refunds.map((one) => `refund ${partId('rfd', one.id, { id })} of ${id}: ${one.amount}`),
    ...life.payments.map((one) => `payment ${partId('pay', one.id, { id })} of ${id}: ${one.amount}`),
  ]
}
