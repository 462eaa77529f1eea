// The world with the cells on it: land as dots, a line between every two cells that hear each other, and a moving dot for what
// goes over it. Drawn on two canvases, the still one when size or colours change, the other by frame while somebody can see it;
// the cells themselves are text above.
import { geoEqualEarth, geoPath } from 'd3-geo'
import { useEffect, useRef, useState } from 'react'
import { feature } from 'topojson-client'
import land from 'world-atlas/land-110m.json'
import { type Arc, arcsOf, createTraffic, type MapSize, nodesOf } from './arcs.ts'
import { formatRate } from './formats.ts'
import type { CellLive } from './live.ts'
import { useLive } from './session.tsx'
import { useIsDark } from './theme.ts'

const allLand = feature(land as never, (land as never as { objects: { land: never } }).objects.land) as unknown as {
  features: { geometry: { coordinates: [number, number][][][] } }[]
}
const [world] = allLand.features
const southernmost = -58 // nobody has a cell in Antarctica
const shown = {
  type: 'MultiPolygon' as const,
  coordinates: world!.geometry.coordinates.filter((polygon) =>
    polygon[0]!.some(([, latitude]) => latitude > southernmost),
  ),
}

/** What must be in sight; the ends of the world beyond it may be cut. */
const inSight = {
  type: 'MultiPoint' as const,
  coordinates: [
    [-129, 60],
    [-68, -54],
    [160, -46],
    [158, 66],
    [20, 76],
  ],
}

const projectionFor = ({ width, height }: MapSize) =>
  geoEqualEarth()
    .rotate([-11, 0])
    .fitExtent(
      [
        [10, 8],
        [width - 10, height - 8],
      ],
      inSight,
    )

export function WorldMap() {
  const { cells } = useLive()
  const frame = useRef<HTMLDivElement>(null)
  const [size, setSize] = useState<MapSize | null>(null)
  const isDark = useIsDark()
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      const { width, height } = entry!.contentRect
      if (width >= 1 && height >= 1) setSize({ width: Math.round(width), height: Math.round(height) })
    })
    observer.observe(frame.current!)
    return () => observer.disconnect()
  }, [])
  const project = size && projectionFor(size)
  const nodes = project ? nodesOf(cells, (place) => project([place.longitude, place.latitude])!, size) : []
  return (
    <div className="map" ref={frame}>
      {size && <Land size={size} isDark={isDark} />}
      {size && <Traffic size={size} isDark={isDark} arcs={arcsOf(nodes)} />}
      <ul className="map-cells" aria-label="Cells">
        {nodes.map(({ live, x, y, labelAt }) => (
          <li
            key={live.cell.name}
            className={`node node-${live.reach} node-${labelAt} ${live.pulse?.cut_off ? 'node-cut' : ''}`}
            style={{ left: x, top: y }}
          >
            <span className="node-dot" />
            <span className="node-label">
              <b>{live.cell.name}</b>
              <span>{wordsOf(live)}</span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** The state of a cell, in as few words as tell it. */
export function wordsOf({ reach, pulse, refusal }: CellLive): string {
  if (refusal) return 'key refused'
  if (reach === 'waiting') return 'connecting'
  if (reach === 'silent' || !pulse) return 'not reachable'
  if (pulse.cut_off) return `cut off, ${formatRate(pulse.orders_per_s)}/s`
  if (pulse.frozen) return 'frozen'
  if (pulse.gate === 'shut') return 'standby lost'
  if (pulse.state === 'draining') return `draining, ${formatRate(pulse.orders_per_s)}/s`
  return `${formatRate(pulse.orders_per_s)} orders/s`
}

/** A canvas of a size, sharp on every screen. */
function prepare(canvas: HTMLCanvasElement, { width, height }: MapSize): CanvasRenderingContext2D {
  const ratio = Math.min(window.devicePixelRatio || 1, 2)
  canvas.width = width * ratio
  canvas.height = height * ratio
  const context = canvas.getContext('2d')!
  context.scale(ratio, ratio)
  return context
}

function Land({ size, isDark }: { size: MapSize; isDark: boolean }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas does not follow the colours of the page by itself
  useEffect(() => {
    const mask = document.createElement('canvas')
    mask.width = size.width
    mask.height = size.height
    const filled = mask.getContext('2d', { willReadFrequently: true })!
    filled.beginPath()
    geoPath(projectionFor(size), filled)(shown)
    filled.fill()
    const pixels = filled.getImageData(0, 0, size.width, size.height).data
    const context = prepare(canvas.current!, size)
    context.fillStyle = getComputedStyle(canvas.current!).getPropertyValue('--map-dot')
    const step = size.width < 500 ? 4.5 : 6.5
    for (let row = 0, y = step / 2; y < size.height; row++, y += step * 0.87) {
      for (let x = row % 2 === 0 ? step / 2 : step; x < size.width; x += step) {
        if (pixels[(Math.floor(y) * size.width + Math.floor(x)) * 4 + 3]! < 128) continue
        context.beginPath()
        context.arc(x, y, step * 0.26, 0, Math.PI * 2)
        context.fill()
      }
    }
  }, [size, isDark])
  return <canvas ref={canvas} className="map-canvas" />
}

function Traffic({ size, isDark, arcs }: { size: MapSize; isDark: boolean; arcs: Arc[] }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const current = useRef(arcs)
  current.current = arcs
  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas does not follow the colours of the page by itself
  useEffect(() => {
    const context = prepare(canvas.current!, size)
    const colours = getComputedStyle(canvas.current!)
    const named = (name: string) => colours.getPropertyValue(name)
    const paint = {
      line: named('--map-line'),
      broken: named('--bad'),
      unit: named('--accent'),
      request: named('--text-faint'),
    }
    const still = matchMedia('(prefers-reduced-motion: reduce)')
    const traffic = createTraffic()
    let asked = 0
    const draw = (now: number) => {
      context.clearRect(0, 0, size.width, size.height)
      drawLines(context, current.current, paint)
      if (!still.matches) {
        for (const { x, y, isUnit } of traffic.at(now, current.current)) {
          context.fillStyle = isUnit ? paint.unit : paint.request
          context.beginPath()
          context.arc(x, y, isUnit ? 3 : 1.6, 0, Math.PI * 2)
          context.fill()
        }
      }
      asked = requestAnimationFrame(draw) // the browser asks for none while nobody sees the page
    }
    asked = requestAnimationFrame(draw)
    return () => cancelAnimationFrame(asked)
  }, [size, isDark])
  return <canvas ref={canvas} className="map-canvas" />
}

function drawLines(
  context: CanvasRenderingContext2D,
  arcs: readonly Arc[],
  paint: { line: string; broken: string },
): void {
  for (const { from, to, bend, isOpen } of arcs) {
    if (from.live.cell.name > to.live.cell.name) continue // there and back are one line
    context.beginPath()
    context.setLineDash(isOpen ? [] : [3, 5])
    context.strokeStyle = isOpen ? paint.line : paint.broken
    context.lineWidth = isOpen ? 1.25 : 1
    context.moveTo(from.x, from.y)
    context.quadraticCurveTo(bend.x, bend.y, to.x, to.y)
    context.stroke()
  }
  context.setLineDash([])
}
