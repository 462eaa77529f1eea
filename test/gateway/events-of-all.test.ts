// A page of several logs: the oldest first, each log in its own order, and no event left out or told twice, however few are wanted.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { type CellPage, merged } from '../../src/gateway/events-of-all.ts'
import { formatPosition, formatVector, parseVector } from '../../src/runtime/position.ts'

const cells = ['eu1', 'us1', 'ap1'] as CellName[]

test('every event of every cell comes once and in its cell’s order, whatever the limit', () => {
  const log = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 12 }).map((steps) => {
    let time = 0
    return steps.map((step) => {
      time += step
      return String(time).padStart(4, '0')
    })
  })
  fc.assert(
    fc.property(fc.tuple(log, log, log), fc.integer({ min: 1, max: 9 }), (logs, limit) => {
      let at: ReadonlyMap<CellName, string> = new Map()
      const seen: string[] = []
      for (let pages = 0; pages < 50; pages++) {
        const share = Math.max(1, Math.floor(limit / cells.length))
        const found = cells.map((cell, index): CellPage => {
          const from = Number(at.get(cell) ?? 0)
          const events = logs[index]!.slice(from, from + share).map((time, n) => ({
            time,
            text: `${cell} ${from + n}`,
          }))
          return { cell, events, nextPosition: String(from + events.length) }
        })
        const { texts, next } = merged(found, { after: at, cells, limit })
        expect(texts.length).toBeLessThanOrEqual(limit)
        if (texts.length === 0) break
        seen.push(...texts)
        at = next
      }
      for (const [index, cell] of cells.entries())
        expect(seen.filter((text) => text.startsWith(cell))).toEqual(logs[index]!.map((_, n) => `${cell} ${n}`))
    }),
  )
})

test('the oldest is told first, and cells that have left are forgotten', () => {
  const page = (cell: CellName, times: string[]): CellPage => ({
    cell,
    events: times.map((time) => ({ time, text: `${cell}${time}` })),
    nextPosition: 'n',
  })
  const after = new Map([
    ['old1' as CellName, 'x'],
    [cells[2]!, 'kept'],
  ])
  const { texts, next } = merged([page(cells[0]!, ['1', '4']), page(cells[1]!, ['2', '3'])], {
    after,
    cells,
    limit: 10,
  })
  expect(texts).toEqual(['eu11', 'us12', 'us13', 'eu14'])
  expect([...next]).toEqual([
    ['ap1', 'kept'],
    ['eu1', 'n'],
    ['us1', 'n'],
  ])
})

test('a vector is read as it was written, and nothing else is one', () => {
  const position = (seq: number) =>
    formatPosition({ incarnation: '0af76519-16cd-43dd-8448-eb211c80319c' as never, seq })
  const vector = new Map(cells.map((cell, seq) => [cell, position(seq)]))
  expect(parseVector(formatVector(vector))).toEqual(vector)
  expect(parseVector(formatVector(new Map()))).toEqual(new Map())
  const good = formatVector(vector)
  for (const bad of [
    '',
    'v2',
    'v1.',
    `${good}.`,
    `${good}.eu1.${position(1)}`,
    good.replace('eu1', 'EU1'),
    position(1),
    'v1.eu1.x',
  ])
    expect(parseVector(bad)).toBeUndefined()
})
