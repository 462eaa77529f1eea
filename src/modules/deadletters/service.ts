// Dead letters of all places as one list: kind after kind, each in its own order. Whoever drops one says why, and that is kept.
import type { ShopId, Uuid } from '../../base/ids.ts'
import { accepted, type Outcome, type Refused, refused } from '../../base/result.ts'
import type { Database } from '../../runtime/pg.ts'
import { type DropRecord, forgetDrop, keepDrop, listDrops } from './store.ts'
import { type DeadKind, type DeadLetter, type DeadLetterSource, deadKinds } from './types.ts'

export type DeadLetters = ReturnType<typeof createDeadLetters>

export type LetterList = { kind: DeadKind | null; cursor: string | null; limit: number }
type ListPage<T> = { data: T[]; nextCursor: string | null }

export function createDeadLetters(
  database: Pick<Database, 'query' | 'transaction'>,
  sources: readonly DeadLetterSource[],
) {
  const sourceOf = (id: string): DeadLetterSource | undefined => sources.find((source) => source.owns(id))
  const inOrder = deadKinds.flatMap((kind) => sources.filter((source) => source.kind === kind))

  return {
    /** Refused: `cursor_invalid`. */
    async list(shopId: ShopId, { kind, cursor, limit }: LetterList): Promise<Outcome<ListPage<DeadLetter>>> {
      const wanted = kind === null ? inOrder : inOrder.filter((source) => source.kind === kind)
      const start = cursor === null ? { kind: wanted[0]?.kind, after: null } : cursorOf(cursor)
      if (!start) return refused('cursor_invalid')
      const first = wanted.findIndex((source) => source.kind === start.kind)
      const isOurs = cursor === null || (first >= 0 && (start.after === null || wanted[first]!.isNext(start.after)))
      if (!isOurs) return refused('cursor_invalid')
      const data: DeadLetter[] = []
      let after = start.after
      for (const source of wanted.slice(Math.max(0, first))) {
        if (data.length === limit) return accepted({ data, nextCursor: cursorText(source.kind, null) })
        const page = await source.list(shopId, { after, limit: limit - data.length })
        data.push(...page.letters)
        if (page.next !== null) return accepted({ data, nextCursor: cursorText(source.kind, page.next) })
        after = null
      }
      return accepted({ data, nextCursor: null })
    },

    /** What was dropped, newest first. Refused: `cursor_invalid`. */
    async listDropped(
      shopId: ShopId,
      { cursor, limit }: Omit<LetterList, 'kind'>,
    ): Promise<Outcome<ListPage<DropRecord>>> {
      const start = cursor === null ? { kind: 'dropped', after: null } : cursorOf(cursor)
      if (start?.kind !== 'dropped' || /\D/.test(start.after ?? '')) return refused('cursor_invalid')
      const before = start.after === null ? null : Number(start.after)
      const found = await listDrops(database, shopId, { before, limit: limit + 1 })
      const data = found.slice(0, limit)
      const next = found.length > limit ? cursorText('dropped', String(data.at(-1)!.number)) : null
      return accepted({ data, nextCursor: next })
    },

    get: async (shopId: ShopId, id: string): Promise<DeadLetter | undefined> => sourceOf(id)?.get(shopId, id),

    /** Has it tried again, soon and by whoever runs it, and answers it with its id from now on. Refused: `not_found`. */
    async retry(shopId: ShopId, id: string): Promise<Outcome<{ letter: DeadLetter; id: string }>> {
      const source = sourceOf(id)
      const letter = await source?.get(shopId, id)
      if (!source || !letter) return refused('not_found')
      const asked = await source.retry(shopId, id)
      return asked.ok ? accepted({ letter, id: asked.value }) : asked
    },

    /** Gives it up for good. Refused: `not_found`, `dead_letter_blocked`. */
    async drop(
      shopId: ShopId,
      id: string,
      { reason, keyId }: { reason: string; keyId: Uuid | null },
    ): Promise<Outcome<DeadLetter> | Refused> {
      const source = sourceOf(id)
      const letter = await source?.get(shopId, id)
      if (!source || !letter) return refused('not_found')
      const number = await keepDrop(database, { shopId, letter, reason, keyId }) // first: none is ever gone without a record
      try {
        const dropped = await source.drop(shopId, id)
        if (dropped.ok) return accepted(letter)
        await forgetDrop(database, number)
        return dropped
      } catch (error) {
        if (await source.get(shopId, id)) await forgetDrop(database, number)
        throw error
      }
    },
  }
}

const cursorText = (kind: DeadKind | 'dropped', after: string | null): string =>
  Buffer.from(after === null ? kind : `${kind} ${after}`).toString('base64url')

function cursorOf(text: string): { kind: string; after: string | null } | undefined {
  const match = /^([a-z_]{1,40})(?: ([0-9a-f-]{1,36}))?$/.exec(Buffer.from(text, 'base64url').toString())
  return match ? { kind: match[1]!, after: match[2] ?? null } : undefined
}
