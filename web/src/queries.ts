// Reads of the cells as the pages use them: of one thing, from whichever cell is near; of every cell, side by side; and of lists
// that all cells have a part of, as one list. A cell that cannot be reached is named, and keeps nobody from the others.
import type { Client } from '@holdfast/sdk'
import { HoldfastError } from '@holdfast/sdk'
import { useInfiniteQuery, useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { clientOf, clientOfAny, readerOf } from './cells.ts'
import { type Before, isOver, type Part, takeNext, toBeRead } from './merged-lists.ts'
import { useCells, useSession } from './session.tsx'

const pageItems = 50

/** A client of any cell, first of the one that `home` names. */
export function useClient(home?: string): Client {
  const cells = useCells()
  const { key } = useSession()
  return useMemo(() => clientOfAny(cells, key, home), [cells, key, home])
}

/** Of each cell by its name. */
export function useClients(): (cell: string) => Client {
  const cells = useCells()
  const { key } = useSession()
  return (name) => clientOf(cells.find((cell) => cell.name === name) ?? cells[0]!, key)
}

const isAway = (error: unknown): boolean => error instanceof HoldfastError && error.code === 'unreachable'

export type OfCells<T> = {
  answers: { cell: string; value: T }[]
  /** Out of reach. */
  missing: string[]
  isLoading: boolean
  /** What a cell answered instead, if it was not only out of reach; or that all are. */
  error: unknown
  refetch(): void
}

/** Asks every cell the same, again after `everyMs`. */
export function useOfCells<T>(
  name: readonly unknown[],
  read: (client: Client) => Promise<T>,
  everyMs?: number,
): OfCells<T> {
  const cells = useCells()
  const { key } = useSession()
  const found = useQueries({
    queries: cells.map((cell) => ({
      queryKey: [...name, cell.name],
      queryFn: () => read(readerOf(cell, key)),
      refetchInterval: everyMs ?? (false as const),
    })),
  })
  const answers = found.flatMap(({ data }, at) => (data === undefined ? [] : [{ cell: cells[at]!.name, value: data }]))
  const missing = cells.filter((_, at) => isAway(found[at]?.error)).map(({ name: cell }) => cell)
  const refusal = found.find(({ error }) => error !== null && !isAway(error))?.error
  return {
    answers,
    missing,
    isLoading: answers.length === 0 && found.some(({ isPending }) => isPending),
    error: refusal ?? (missing.length > 0 && missing.length === cells.length ? found[0]?.error : null),
    refetch: () => {
      for (const one of found) void one.refetch()
    },
  }
}

type PageOf<T> = { data: T[]; next_cursor: string | null }
type MergedPage<T> = { taken: { cell: string; item: T }[]; parts: Part<T>[]; missing: string[] }

export type MergedList<T> = {
  items: { cell: string; item: T }[]
  missing: string[]
  isLoading: boolean
  isLoadingMore: boolean
  hasMore: boolean
  error: unknown
  loadMore(): void
  /** Of what failed: the rest, or all of it. */
  refetch(): void
}

type ListOptions<T> = {
  name: readonly unknown[]
  read(client: Client, page: { limit: number; cursor?: string }): Promise<PageOf<T>>
  before: Before<T>
  /** Of this cell alone. */
  only?: string | undefined
}

/** The lists of all cells as one, page after page. */
export function useMergedList<T>({ name, read, before, only }: ListOptions<T>): MergedList<T> {
  const all = useCells()
  const { key } = useSession()
  const cells = only ? all.filter((cell) => cell.name === only) : all
  const query = useInfiniteQuery({
    queryKey: [...name, ...cells.map((cell) => cell.name)],
    initialPageParam: { parts: [] as Part<T>[], missing: [] as string[] },
    queryFn: async ({ pageParam }): Promise<MergedPage<T>> => {
      let parts =
        pageParam.parts.length > 0
          ? pageParam.parts
          : cells.map((cell): Part<T> => ({ cell: cell.name, held: [], cursor: undefined }))
      const missing = new Set(pageParam.missing)
      const taken: MergedPage<T>['taken'] = []
      while (taken.length < pageItems && !isOver(parts)) {
        const wanted = new Set(toBeRead(parts).map(({ cell }) => cell))
        parts = await Promise.all(
          parts.map(async (part): Promise<Part<T>> => {
            if (!wanted.has(part.cell)) return part
            try {
              const cell = cells.find((one) => one.name === part.cell)!
              const page = await read(readerOf(cell, key), {
                limit: pageItems,
                ...(part.cursor ? { cursor: part.cursor } : {}),
              })
              return { cell: part.cell, held: [...part.held, ...page.data], cursor: page.next_cursor }
            } catch (error) {
              if (!isAway(error) || missing.size + 1 === cells.length) throw error
              missing.add(part.cell)
              return { ...part, cursor: null }
            }
          }),
        )
        const next = takeNext(parts, before, pageItems - taken.length)
        taken.push(...next.taken)
        parts = next.parts
      }
      return { taken, parts, missing: [...missing] }
    },
    getNextPageParam: ({ parts, missing }) => (isOver(parts) ? undefined : { parts, missing }),
  })
  const pages = query.data?.pages
  return {
    items: useMemo(() => pages?.flatMap(({ taken }) => taken) ?? [], [pages]),
    missing: pages?.at(-1)?.missing ?? [],
    isLoading: query.isPending,
    isLoadingMore: query.isFetchingNextPage,
    hasMore: query.hasNextPage,
    error: query.error,
    loadMore: () => void query.fetchNextPage(),
    refetch: () => void (query.isFetchNextPageError ? query.fetchNextPage() : query.refetch()),
  }
}
