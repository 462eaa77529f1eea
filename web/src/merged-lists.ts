// One list out of the lists of all cells, each of which is in order and read by its own cursor: what comes next is the first of
// the heads, and is known only while every list that goes on has one. So the last page costs what the first one did.

export type Part<T> = {
  cell: string
  /** Read, and not yet handed out. */
  held: readonly T[]
  /** Undefined: nothing was read yet; null: there is no more. */
  cursor: string | null | undefined
}

/** Whether `one` comes before `other`. */
export type Before<T> = (one: T, other: T) => boolean

/** Cells to be read before the next item is known. */
export const toBeRead = <T>(parts: readonly Part<T>[]): Part<T>[] =>
  parts.filter(({ held, cursor }) => held.length === 0 && cursor !== null)

export const isOver = <T>(parts: readonly Part<T>[]): boolean =>
  parts.every(({ held, cursor }) => held.length === 0 && cursor === null)

/** As many as can be told, at most `max`; what is left stays in the parts. */
export function takeNext<T>(
  parts: readonly Part<T>[],
  before: Before<T>,
  max: number,
): { taken: { cell: string; item: T }[]; parts: Part<T>[] } {
  const left = parts.map((part) => ({ ...part, next: 0 }))
  const taken: { cell: string; item: T }[] = []
  while (taken.length < max) {
    if (left.some(({ held, next, cursor }) => next >= held.length && cursor !== null)) break
    let first: (typeof left)[number] | undefined
    for (const part of left) {
      if (part.next >= part.held.length) continue
      if (first === undefined || before(part.held[part.next]!, first.held[first.next]!)) first = part
    }
    if (first === undefined) break
    taken.push({ cell: first.cell, item: first.held[first.next++]! })
  }
  return {
    taken,
    parts: left.map(({ cell, held, cursor, next }) => ({ cell, held: held.slice(next), cursor })),
  }
}
