// Does a store agree with itself? Counters follow from orders and holds, and from the log; no unit was ever sold beyond what was
// there; the versions of each subject have no gap; and every change of state has its event.
import type { Snapshot, StoredEvent, StoredHold, StoredOrder } from './snapshot.ts'

export const checkStore = (snapshot: Snapshot): string[] => [
  ...counters(snapshot),
  ...log(snapshot),
  ...contiguous(snapshot.events),
  ...lives(snapshot),
]

/** What the rows say is what orders and holds say. */
function counters({ orders, holds, rows }: Snapshot): string[] {
  const reserved: Record<string, number> = {}
  const committed: Record<string, number> = {}
  const add = (counter: Record<string, number>, sku: string, units: number) => {
    counter[sku] = (counter[sku] ?? 0) + units
  }
  for (const { status, lines } of holds) {
    if (status === 'active') for (const { sku, quantity } of lines) add(reserved, sku, quantity)
  }
  for (const { status, lines } of orders) {
    if (status === 'pending') for (const { sku, left } of lines) add(reserved, sku, left)
    if (status === 'confirmed') for (const { sku, left } of lines) add(committed, sku, left)
  }
  return rows.flatMap((row) => [
    ...differs(`reserved of ${row.sku}`, row.reserved, reserved[row.sku] ?? 0),
    ...differs(`committed of ${row.sku}`, row.committed, committed[row.sku] ?? 0),
  ])
}

/** What the rows say is what the log says, and at no moment was more sold than there was. */
function log({ rows, events }: Snapshot): string[] {
  const sums = new Map(rows.map(({ id }) => [id, { onHand: 0, reserved: 0, committed: 0, shipped: 0 }]))
  const faults: string[] = []
  for (const { moves, type, subject } of events) {
    const touched = new Set<number>()
    for (let at = 0; at < moves.length; at += 5) {
      const [id, onHand, reserved, committed, shipped] = moves.slice(at, at + 5) as [
        number,
        number,
        number,
        number,
        number,
      ]
      const sum = sums.get(id)!
      sum.onHand += onHand
      sum.reserved += reserved
      sum.committed += committed
      sum.shipped += shipped
      touched.add(id)
    }
    for (const id of touched) {
      const { onHand, reserved, committed } = sums.get(id)!
      if (onHand < reserved + committed) faults.push(`${type} of ${subject} sold more than there was`)
    }
  }
  for (const row of rows) {
    const sum = sums.get(row.id)!
    for (const counter of ['onHand', 'reserved', 'committed', 'shipped'] as const)
      faults.push(...differs(`${counter} of ${row.sku} by the log`, row[counter], sum[counter]))
  }
  return faults
}

function contiguous(events: readonly StoredEvent[]): string[] {
  const versions = new Map<string, number>()
  return events.flatMap(({ subject, version, type }) => {
    const expected = (versions.get(subject) ?? 0) + 1
    versions.set(subject, version)
    return version === expected ? [] : [`${type} of ${subject} has version ${version} after ${expected - 1}`]
  })
}

/** The states that the events of each order and hold lead to are those that are stored. */
function lives({ orders, holds, events }: Snapshot): string[] {
  const types = new Map<string, string[]>()
  for (const { subject, type } of events) {
    const list = types.get(subject)
    if (list) list.push(type)
    else types.set(subject, [type])
  }
  const subjects = new Set([...orders, ...holds].map(({ id }) => id))
  return [
    ...orders.flatMap((order) => life(order, types.get(order.id) ?? [], orderLife(order))),
    ...holds.flatMap((hold) => life(hold, types.get(hold.id) ?? [], holdLife(hold))),
    ...[...types.keys()].flatMap((subject) =>
      /^(ord|hld)_/.test(subject) && !subjects.has(subject) ? [`${subject} has events and does not exist`] : [],
    ),
  ]
}

function life({ id, version }: { id: string; version: number }, types: readonly string[], expected: RegExp): string[] {
  const told = types.join(' ')
  return [...differs(`version of ${id}`, version, types.length), ...(expected.test(told) ? [] : [`${id} had ${told}`])]
}

function orderLife({ status, provider }: StoredOrder): RegExp {
  const confirmed = provider === 'none' ? ' order\\.confirmed' : ''
  const end = status === 'cancelled' ? ' order\\.cancelled' : ''
  return new RegExp(`^order\\.placed${confirmed}( order\\.lines_cancelled)*${end}$`)
}

function holdLife({ status }: StoredHold): RegExp {
  return new RegExp(`^hold\\.created( hold\\.extended)*${status === 'active' ? '' : ` hold\\.${status}`}$`)
}

const differs = (what: string, actual: number, expected: number): string[] =>
  actual === expected ? [] : [`${what} is ${actual} and should be ${expected}`]
