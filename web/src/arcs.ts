// The geometry of the map: where cells stand, how the lines between them bend, and where what moves along them is at a time.
import type { CellLive } from './live.ts'
import { isKnownRegion, type Place, placeOf } from './places.ts'

type Point = { x: number; y: number }

export type LabelSide = 'below' | 'above' | 'right' | 'left'
export type Node = Point & { live: CellLive; labelAt: LabelSide }

/** One way. `isOpen`: both ends say that they hear each other, and neither is cut off, which the other end learns later. */
export type Arc = {
  from: Node
  to: Node
  bend: Point
  isOpen: boolean
  unitsPerSecond: number
  requestsPerSecond: number
}

type Box = { left: number; top: number; right: number; bottom: number }
export type MapSize = { width: number; height: number }

const besides = 46 // pixels between cells of one region, which stand below each other
const dotSize = { width: 12, height: 12 }
const labelSize = { width: 120, height: 40 } // pixels that the longest words of a cell take
const gap = 11 // from the middle of a dot to its label

const boxAround = ({ x, y }: Point, { width, height }: MapSize): Box => ({
  left: x - width / 2,
  top: y - height / 2,
  right: x + width / 2,
  bottom: y + height / 2,
})

/** In the order in which they are tried. */
const sides: [LabelSide, { x: number; y: number }][] = [
  ['below', { x: 0, y: 1 }],
  ['above', { x: 0, y: -1 }],
  ['right', { x: 1, y: 0 }],
  ['left', { x: -1, y: 0 }],
]

const labelBox = ({ x, y }: Point, towards: Point): Box => {
  const across = x + towards.x * (gap + labelSize.width / 2)
  return boxAround({ x: across, y: y + towards.y * (gap + labelSize.height / 2) }, labelSize)
}

const meet = (one: Box, other: Box): boolean =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom

/** Each label goes below its dot, or else to the first side on which it is on the map and on nothing else; the southern choose first. */
export function nodesOf(
  cells: readonly CellLive[],
  project: (place: Place) => [number, number],
  { width, height }: MapSize,
): Node[] {
  const points = pointsOf(cells, project)
  const taken = points.map((point) => boxAround(point, dotSize))
  const isFree = (box: Box): boolean =>
    box.left >= 0 && box.top >= 0 && box.right <= width && box.bottom <= height && !taken.some((one) => meet(one, box))
  const labelAt = new Map<CellLive, LabelSide>()
  for (const point of points.toSorted((one, other) => other.y - one.y)) {
    const [side, towards] = sides.find(([, towards]) => isFree(labelBox(point, towards))) ?? sides[0]!
    labelAt.set(point.live, side)
    taken.push(labelBox(point, towards))
  }
  return points.map((point) => ({ ...point, labelAt: labelAt.get(point.live)! }))
}

function pointsOf(cells: readonly CellLive[], project: (place: Place) => [number, number]) {
  const perRegion = new Map<string, number>()
  let unknown = 0
  const regions = new Map<string, Place>()
  return cells.map((live) => {
    const { region } = live.cell
    const place = regions.get(region) ?? placeOf(region, isKnownRegion(region) ? 0 : unknown++)
    regions.set(region, place)
    const before = perRegion.get(region) ?? 0
    perRegion.set(region, before + 1)
    const [x, y] = project(place)
    return { live, x: Math.round(x), y: Math.round(y) + before * besides }
  })
}

export function arcsOf(nodes: readonly Node[]): Arc[] {
  return nodes.flatMap((from) =>
    nodes.flatMap((to): Arc[] => {
      if (from === to) return []
      const said = from.live.pulse?.peers.find(({ cell }) => cell === to.live.cell.name)
      const answered = to.live.pulse?.peers.find(({ cell }) => cell === from.live.cell.name)
      const areLive = from.live.reach === 'live' && to.live.reach === 'live'
      const isCut = from.live.pulse?.cut_off === true || to.live.pulse?.cut_off === true
      return [
        {
          from,
          to,
          bend: bendOf(from, to),
          isOpen: areLive && !isCut && said?.reachable === true && answered?.reachable === true,
          unitsPerSecond: from.live.reach === 'live' ? (said?.units_per_s_sent ?? 0) : 0,
          requestsPerSecond: from.live.reach === 'live' ? (said?.requests_per_s_sent ?? 0) : 0,
        },
      ]
    }),
  )
}

/** Up, by a fifth of the way: as on a globe, where the short way goes by the pole. */
function bendOf(from: Point, to: Point): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y)
  return { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 - length * 0.22 }
}

type Moving = Point & { isUnit: boolean }
export type Traffic = { at(now: number, arcs: readonly Arc[]): Moving[] }

const travelMs = 1500
const dotsPerArcMax = 12

/** A dot for every so many, more the more go, but never so many that they are a line. */
const dotsPerSecond = (perSecond: number): number => (perSecond <= 0 ? 0 : Math.min(8, 0.8 + Math.log2(1 + perSecond)))

/** Dots set out at a rate and take a while; `at` is asked once a frame, with times that grow. */
export function createTraffic(): Traffic {
  type Flow = { due: number; setOut: number[] }
  const flows = new Map<string, Flow>()
  let before: number | undefined

  const flowOf = (name: string): Flow => {
    const flow = flows.get(name) ?? { due: 0, setOut: [] }
    flows.set(name, flow)
    return flow
  }

  return {
    at(now, arcs) {
      const passed = Math.min(100, now - (before ?? now)) / 1000
      before = now
      const moving: Moving[] = []
      for (const arc of arcs) {
        for (const [isUnit, perSecond] of [
          [true, arc.unitsPerSecond],
          [false, arc.requestsPerSecond],
        ] as const) {
          const flow = flowOf(`${arc.from.live.cell.name} ${arc.to.live.cell.name} ${isUnit}`)
          flow.due += dotsPerSecond(perSecond) * passed
          if (flow.due >= 1) {
            flow.due %= 1
            if (flow.setOut.length < dotsPerArcMax) flow.setOut.push(now)
          }
          flow.setOut = flow.setOut.filter((at) => now - at < travelMs)
          for (const at of flow.setOut) moving.push({ ...pointOn(arc, (now - at) / travelMs), isUnit })
        }
      }
      return moving
    },
  }
}

/** Of a quadratic curve, at `part` of the way. */
export function pointOn({ from, to, bend }: Pick<Arc, 'from' | 'to' | 'bend'>, part: number): Point {
  const rest = 1 - part
  return {
    x: rest * rest * from.x + 2 * rest * part * bend.x + part * part * to.x,
    y: rest * rest * from.y + 2 * rest * part * bend.y + part * part * to.y,
  }
}
