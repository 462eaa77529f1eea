// One list out of the lists of several cells.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isOver, type Part, takeNext, toBeRead } from './merged-lists.ts'

const isNewer = (one: number, other: number): boolean => one > other

/** Reads page after page, as the page does, of cells whose lists are cut into pages of `size`. */
function readAll(lists: readonly number[][], size: number, max: number): number[] {
  let parts: Part<number>[] = lists.map((_, cell) => ({ cell: `c${cell}`, held: [], cursor: undefined }))
  const read: number[] = []
  for (let turn = 0; !isOver(parts); turn++) {
    expect(turn).toBeLessThan(1000)
    const wanted = toBeRead(parts)
    parts = parts.map((part, at) => {
      if (!wanted.includes(part)) return part
      const from = Number(part.cursor ?? 0)
      const held = lists[at]!.slice(from, from + size)
      return { ...part, held, cursor: from + size >= lists[at]!.length ? null : String(from + size) }
    })
    const next = takeNext(parts, isNewer, max)
    read.push(...next.taken.map(({ item }) => item))
    parts = next.parts
  }
  return read
}

test('the lists of all cells come as one, in order, none left out and none twice, however they are cut', () => {
  const list = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 40 }).map((all) => all.sort((a, b) => b - a))
  fc.assert(
    fc.property(
      fc.array(list, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 20 }),
      (lists, size, max) => {
        expect(readAll(lists, size, max)).toEqual(lists.flat().sort((a, b) => b - a))
      },
    ),
  )
})

test('nothing is handed out while a cell that goes on has nothing read', () => {
  const parts: Part<number>[] = [
    { cell: 'eu1', held: [9, 8], cursor: null },
    { cell: 'us1', held: [], cursor: 'more' },
  ]
  expect(takeNext(parts, isNewer, 10).taken).toEqual([])
  expect(toBeRead(parts).map(({ cell }) => cell)).toEqual(['us1'])
})
