// Where things stand on the map, and how many dots move.
import { expect, test } from 'vitest'
import { type Arc, arcsOf, createTraffic, nodesOf, pointOn } from './arcs.ts'
import type { CellLive } from './live.ts'

const cell = (name: string, peers: object[] = [], reach: CellLive['reach'] = 'live', cut_off = false): CellLive => ({
  cell: { name, region: name.replace(/\d+$/, ''), url: `http://${name}`, state: 'active' },
  reach,
  heardAt: 0,
  refusal: null,
  pulse: { peers, cut_off } as never,
})
const flat = ({ longitude, latitude }: { longitude: number; latitude: number }): [number, number] => [
  longitude * 4,
  -latitude * 4,
]
const hears = (name: string, units = 0) => ({
  cell: name,
  reachable: true,
  units_per_s_sent: units,
  requests_per_s_sent: 0,
})

test('cells of one region, and of regions that nobody knows, stand apart', () => {
  const nodes = nodesOf([cell('eu1'), cell('eu2'), cell('moon1'), cell('mars1')], flat)
  expect(new Set(nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(4)
})

test('of two labels that would lie on each other the upper goes above, and those far apart stay below', () => {
  const at = (x: number) => nodesOf([cell('eu1'), cell('us1')], ({ longitude }) => (longitude > 0 ? [x, 40] : [0, 60]))
  expect(at(100).map(({ labelAt }) => labelAt)).toEqual(['above', 'below'])
  expect(at(125).map(({ labelAt }) => labelAt)).toEqual(['below', 'below'])
})

test('a line is open while both ends hear each other, and broken when one is silent, cut off or does not', () => {
  const open = (cells: CellLive[]) => arcsOf(nodesOf(cells, flat)).map(({ isOpen }) => isOpen)
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [hears('eu1')])])).toEqual([true, true])
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [])])).toEqual([false, false])
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [hears('eu1')], 'silent')])).toEqual([false, false])
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [hears('eu1')], 'live', true)])).toEqual([false, false])
})

test('dots go from the giver to the taker, and never more than a few, however many units go', () => {
  const arcs = arcsOf(nodesOf([cell('eu1', [hears('us1', 50_000)]), cell('us1', [hears('eu1')])], flat))
  const traffic = createTraffic()
  let most = 0
  for (let now = 0; now < 10_000; now += 16) most = Math.max(most, traffic.at(now, arcs).length)
  expect(most).toBeGreaterThan(3)
  expect(most).toBeLessThanOrEqual(12)
  const { from, to } = arcs[0] as Arc
  expect(pointOn(arcs[0]!, 0)).toEqual({ x: from.x, y: from.y })
  expect(pointOn(arcs[0]!, 1)).toEqual({ x: to.x, y: to.y })
})
