// Which cell a request belongs to: by the id in its path, by the cell that its key names, by the owner of a key that names none;
// and here in every other case. All cells of one topology decide alike, and what is forwarded comes to rest.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { ownerAmong } from '../../src/base/rendezvous.ts'
import { instant } from '../../src/base/time.ts'
import type { Topology, TopologyCell } from '../../src/base/topology.ts'
import { type Asked, activeIn, homeOfOrder, ownersAfter, routeOf, toPlace, type View } from '../../src/gateway/route.ts'
import { cellOf } from '../base/topology-given.ts'

const eu1 = 'eu1' as CellName
const eu2 = 'eu2' as CellName
const us1 = 'us1' as CellName
const states = { eu1: 'active', eu2: 'active', us1: 'active', ap1: 'draining', old1: 'removed' } as const

function topologyWith(more: Record<string, TopologyCell['state']> = {}): Topology {
  const cells = Object.entries({ ...states, ...more }).map(([name, state]) => ({ ...cellOf(name, 1), state }))
  return { version: 1, by: eu1, zones: [], cells }
}

function viewOf(self: string, more: Partial<View> = {}): View {
  const topology = more.topology ?? topologyWith()
  const name = self as CellName
  return { topology, self: name, owners: activeIn(name, topology), nearest: () => [], takesNew: true, ...more }
}

const asked = (method: string, path: string, more: Partial<Asked> = {}): Asked => ({
  method,
  path,
  query: {},
  key: undefined,
  isForwarded: false,
  isPlacedHere: false,
  ...more,
})

const uuid = '01m83e52mxemrrda1f1s17zv95'
const here = { kind: 'here' }
const there = (cell: string, why: string) => ({ kind: 'there', cell, why })

describe('an id in the path', () => {
  test.each([
    ['orders', 'ord'],
    ['holds', 'hld'],
    ['payments', 'pay'],
    ['refunds', 'rfd'],
    ['shipments', 'shp'],
    ['returns', 'ret'],
    ['webhook-endpoints', 'whe'],
    ['webhook-deliveries', 'whd'],
    ['test-provider/charges', 'pay'],
  ])('leads to its home below /v1/%s, whatever is done with it', (noun, prefix) => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const rest of ['', '/cancel', '/events']) {
        const at = (cell: string) =>
          routeOf(asked(method, `/v1/${noun}/${prefix}_${cell}_${uuid}${rest}`), viewOf('eu1'))
        expect(at('us1')).toEqual(there('us1', 'id'))
        expect(at('ap1')).toEqual(there('ap1', 'id')) // draining: what it has it answers
        expect(at('eu1')).toEqual(here)
        expect(at('xx9')).toEqual(here) // never was: not found, as anything else
        expect(at('old1')).toMatchObject({ ok: false, code: 'cell_removed' })
      }
    }
  })

  test('counts more than the key: a step runs where its thing is', () => {
    const step = asked('POST', `/v1/orders/ord_us1_${uuid}/cancel`, { key: 'eu1.k' })
    expect(routeOf(step, viewOf('eu1'))).toEqual(there('us1', 'id'))
    expect(routeOf(step, viewOf('us1'))).toEqual(here)
  })

  test.each([
    ['a SKU that looks like one', `/v1/stock/ord_us1_${uuid}`],
    ['a location that looks like one', `/v1/locations/ord_us1_${uuid}`],
    ['no id of ours', '/v1/orders/7'],
    ['a half one', '/v1/orders/ord_us1_01'],
    ['bulk', '/v1/orders/bulk'],
    ['something outside the API', `/orders/ord_us1_${uuid}`],
  ])('is not %s', (_, path) => {
    expect(routeOf(asked('GET', path), viewOf('eu1'))).toEqual(here)
  })

  test('may stand in the query, where a list is of one order', () => {
    const order = `ord_us1_${uuid}`
    for (const path of ['/v1/test-provider/charges', '/v1/ledger/entries', '/v1/webhook-deliveries'])
      expect(routeOf(asked('GET', path, { query: { order } }), viewOf('eu1'))).toEqual(there('us1', 'id'))
    expect(routeOf(asked('GET', '/v1/orders', { query: { order } }), viewOf('eu1'))).toEqual(here)
  })
})

test('lists, stock, audits and probes are answered here', () => {
  for (const path of [
    '/v1/orders',
    '/v1/events',
    '/v1/stock/A-1',
    '/v1/stock',
    '/v1/audit',
    '/v1/locations',
    '/healthz',
    '/',
  ])
    expect(routeOf(asked('GET', path), viewOf('eu1'))).toEqual(here)
  expect(routeOf(asked('POST', '/v1/stock/adjustments', { key: 'us1.k' }), viewOf('eu1'))).toEqual(here)
})

describe('events of another cell', () => {
  const events = (cell: string) => routeOf(asked('GET', '/v1/events', { query: { cell } }), viewOf('eu1'))
  test('are read there; of all cells, and of this one, here', () => {
    expect(events('us1')).toEqual(there('us1', 'query'))
    expect(events('eu1')).toEqual(here)
    expect(events('*')).toEqual(here)
  })
  test('are refused where there is no such cell', () => {
    expect(events('old1')).toMatchObject({ code: 'cell_removed' })
    for (const name of ['xx9', '', 'EU1', '__proto__', 'eu1,us1'])
      expect(events(name)).toMatchObject({ code: 'cell_not_found' })
  })
})

describe.each(['/v1/orders', '/v1/holds'])('a POST %s', (path) => {
  const post = (key: string | undefined, view: View, more: Partial<Asked> = {}) =>
    routeOf(asked('POST', path, { key, ...more }), view)

  test('goes where its key says', () => {
    expect(post('us1.k', viewOf('eu1'))).toEqual(there('us1', 'key'))
    expect(post('ap1.k', viewOf('eu1'))).toEqual(there('ap1', 'key'))
    expect(post('eu1.k', viewOf('eu1'))).toEqual(here)
    expect(post('eu1.', viewOf('eu2'))).toEqual(there('eu1', 'key'))
  })

  test('is refused where its key names a cell that has left: nobody knows any more whether it was used', () => {
    expect(post('old1.k', viewOf('eu1'))).toMatchObject({ code: 'cell_removed' })
  })

  test('without a key is refused here', () => {
    expect(post(undefined, viewOf('ap1'))).toEqual(here)
  })

  test.each(['k', 'eu1', 'eu1k', 'xx9.k', '.eu1', 'EU1.k', ' eu1.k', '__proto__.k'])(
    'whose key %j names no cell goes to its owner among the active cells of the region',
    (key) => {
      const owner = ownerAmong([eu1, eu2], key)
      for (const self of [eu1, eu2]) {
        expect(post(key, viewOf(self))).toEqual(self === owner ? here : there(owner, 'owner'))
        expect(post(key, viewOf(self), { isForwarded: true })).toEqual(here)
      }
      expect(post(key, viewOf('us1'))).toEqual(here)
    },
  )

  test('is passed on by a cell that takes nothing new, unless it is known there', () => {
    const passedOn = { kind: 'here_if_known', cell: us1 }
    const nearest = () => [us1]
    for (const key of ['k', 'ap1.k']) {
      expect(post(key, viewOf('ap1', { nearest }))).toEqual(passedOn)
      expect(post(key, viewOf('ap1', { nearest }), { isForwarded: true })).toEqual(passedOn)
      expect(post(key, viewOf('ap1', { nearest }), { isPlacedHere: true })).toEqual(here)
      expect(post(key, viewOf('ap1'))).toEqual(here) // nobody else is there
    }
    const frozen = viewOf('eu1', { takesNew: false, nearest })
    expect(post('eu1.k', frozen)).toEqual({ kind: 'here_if_known', cell: eu2 }) // of its own region first
  })

  test('that a peer has passed on is placed where it comes, whatever its key names', () => {
    for (const key of ['k', 'eu1.k', 'us1.k', 'old1.k'])
      expect(post(key, viewOf('us1'), { isPlacedHere: true })).toEqual(here)
  })
})

describe('an order with a hold', () => {
  const home = (hold: string, key: string | undefined) => homeOfOrder(`hld_${hold}_${uuid}`, key, viewOf('eu1'))
  test('runs where its hold is', () => {
    expect(home('us1', 'k')).toEqual(there('us1', 'hold'))
    expect(home('us1', 'us1.k')).toEqual(there('us1', 'hold'))
    expect(home('ap1', undefined)).toEqual(there('ap1', 'hold'))
    expect(home('eu1', 'eu1.k')).toEqual(here)
    expect(home('eu1', 'k')).toEqual(here)
  })
  test('is refused when its key names another cell', () => {
    expect(home('us1', 'eu1.k')).toMatchObject({ code: 'key_names_another_cell' })
    expect(home('eu1', 'us1.k')).toMatchObject({ code: 'key_names_another_cell' })
    expect(home('eu1', 'old1.k')).toMatchObject({ code: 'key_names_another_cell' })
  })
  test('is refused when the hold has left with its cell, and looked for here when there never was such a cell', () => {
    expect(home('old1', 'k')).toMatchObject({ code: 'cell_removed' })
    expect(home('xx9', 'k')).toEqual(here)
    expect(homeOfOrder('nonsense', 'k', viewOf('eu1'))).toEqual(here)
  })
})

test('whatever cells believe of each other, a new order comes to rest within three hops', () => {
  type Belief = Record<string, TopologyCell['state'] | 'unknown'>
  const states = ['active', 'draining', 'removed'] as const
  const names = [eu1, eu2, us1]
  const stateOf = (name: CellName, self: CellName) =>
    // A cell always knows itself: without, it does not start, nor adopt a topology.
    name === self ? fc.constantFrom(...states) : fc.constantFrom(...states, 'unknown')
  const believedBy = (self: CellName) =>
    fc.record({
      cells: fc.record(Object.fromEntries(names.map((name) => [name, stateOf(name, self)]))) as fc.Arbitrary<Belief>,
      takesNew: fc.boolean(),
      owners: fc.subarray([eu1, eu2]),
    })
  const beliefs = fc.tuple(believedBy(eu1), believedBy(eu2), believedBy(us1))
  const key = fc.constantFrom('k', 'eu1.k', 'eu2.k', 'us1.k', 'a', 'b')
  fc.assert(
    fc.property(beliefs, key, fc.constantFrom(...names), (believed, text, start) => {
      let [at, isForwarded, isPlacedHere]: [CellName, boolean, boolean] = [start, false, false]
      for (let hops = 0; ; hops++) {
        const { takesNew, owners, cells } = believed[names.indexOf(at)]!
        const known = Object.entries(cells).filter(([, one]) => one !== 'unknown')
        const topology = topologyWith(Object.fromEntries(known) as Record<string, TopologyCell['state']>)
        topology.cells = topology.cells.filter(({ name }) => known.some(([one]) => one === name))
        const nearest = () => activeIn(us1, topology).filter((name) => name !== at)
        const view = viewOf(at, { topology, takesNew, owners, nearest })
        const route = toPlace({ key: text, isForwarded, isPlacedHere }, view)
        if (!('kind' in route) || route.kind === 'here') return
        isPlacedHere = route.kind === 'here_if_known'
        isForwarded = true
        at = route.cell
        expect(hops).toBeLessThan(limits.hopsMax)
      }
    }),
  )
})

describe('owners of keys', () => {
  const settleMs = 1_000
  const ownersOf = (owners: Parameters<typeof ownersAfter>[0], active: CellName[], now: number, isChanged = false) =>
    ownersAfter(owners, active, { now: instant(now), settleMs, isChanged })

  test('stay who they were until the topology has said the same for a while', () => {
    const before = { names: [eu1], otherSince: null }
    const changed = ownersOf(before, [eu1, eu2], 100, true)
    expect(changed).toEqual({ names: [eu1], otherSince: 100 })
    expect(ownersOf(changed, [eu1, eu2], 1_099)).toEqual(changed)
    expect(ownersOf(changed, [eu1, eu2], 1_100)).toEqual({ names: [eu1, eu2], otherSince: null })
  })

  test('wait anew when it changes again, and need not when it is as before', () => {
    const changed = ownersOf({ names: [eu1], otherSince: null }, [eu1, eu2], 100, true)
    expect(ownersOf(changed, [eu1, us1], 900, true)).toEqual({ names: [eu1], otherSince: 900 })
    expect(ownersOf(changed, [eu1], 900, true)).toEqual({ names: [eu1], otherSince: null })
  })

  test('one that drains is asked until then, and passes on what it does not know; one that has left is not', () => {
    const key = Array.from({ length: 20 }, (_, n) => `key ${n}`).find((text) => ownerAmong([eu1, eu2], text) === eu2)!
    const owners = [eu1, eu2]
    const draining = topologyWith({ eu2: 'draining' })
    expect(
      toPlace({ key, isForwarded: false, isPlacedHere: false }, viewOf('eu1', { topology: draining, owners })),
    ).toEqual(there('eu2', 'owner'))
    expect(
      toPlace({ key, isForwarded: true, isPlacedHere: false }, viewOf('eu2', { topology: draining, owners })),
    ).toEqual({
      kind: 'here_if_known',
      cell: eu1,
    })
    const removed = topologyWith({ eu2: 'removed' })
    expect(
      toPlace({ key, isForwarded: false, isPlacedHere: false }, viewOf('eu1', { topology: removed, owners })),
    ).toEqual(here)
  })
})
