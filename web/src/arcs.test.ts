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
const size = { width: 1000, height: 600 }
const hears = (name: string, units = 0) => ({
  cell: name,
  reachable: true,
  units_per_s_sent: units,
  requests_per_s_sent: 0,
})

test('cells of one region, and of regions that nobody knows, stand apart', () => {
  const nodes = nodesOf([cell('eu1'), cell('eu2'), cell('moon1'), cell('mars1')], flat, size)
  expect(new Set(nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(4)
})

test('a label that would lie on another, or beyond the map, goes to another side of its dot', () => {
  const sidesAt = (spots: Record<string, [number, number]>, height = 400) => {
    const names = Object.keys(spots)
    const project = (place: { longitude: number; latitude: number }) => spots[names[at++]!] ?? [place.longitude, 0]
    let at = 0
    const nodes = nodesOf(
      names.map((name) => cell(name)),
      project,
      { width: 400, height },
    )
    return Object.fromEntries(nodes.map(({ live, labelAt }) => [live.cell.name, labelAt]))
  }
  expect(sidesAt({ eu1: [225, 200], us1: [100, 216] })).toEqual({ eu1: 'below', us1: 'below' })
  expect(sidesAt({ eu1: [200, 200], us1: [100, 216] })).toEqual({ eu1: 'above', us1: 'below' })
  expect(sidesAt({ eu1: [200, 34], us1: [100, 50] })).toEqual({ eu1: 'right', us1: 'below' })
  expect(sidesAt({ jp1: [380, 200], za1: [20, 100], br1: [200, 380] })).toEqual({
    jp1: 'left',
    za1: 'right',
    br1: 'above',
  })
  expect(sidesAt({ eu1: [20, 20] }, 40)).toEqual({ eu1: 'right' })
  expect(sidesAt({ eu1: [20, 10] }, 20)).toEqual({ eu1: 'below' }) // nowhere is there room
})

test('a line is open while both ends hear each other, and broken when one is silent, cut off or does not', () => {
  const open = (cells: CellLive[]) => arcsOf(nodesOf(cells, flat, size)).map(({ isOpen }) => isOpen)
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [hears('eu1')])])).toEqual([true, true])
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [])])).toEqual([false, false])
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [hears('eu1')], 'silent')])).toEqual([false, false])
  expect(open([cell('eu1', [hears('us1')]), cell('us1', [hears('eu1')], 'live', true)])).toEqual([false, false])
})

test('dots go from the giver to the taker, and never more than a few, however many units go', () => {
  const arcs = arcsOf(nodesOf([cell('eu1', [hears('us1', 50_000)]), cell('us1', [hears('eu1')])], flat, size))
  const traffic = createTraffic()
  let most = 0
  for (let now = 0; now < 10_000; now += 16) most = Math.max(most, traffic.at(now, arcs).length)
  expect(most).toBeGreaterThan(3)
  expect(most).toBeLessThanOrEqual(12)
  const { from, to } = arcs[0] as Arc
  expect(pointOn(arcs[0]!, 0)).toEqual({ x: from.x, y: from.y })
  expect(pointOn(arcs[0]!, 1)).toEqual({ x: to.x, y: to.y })
})
