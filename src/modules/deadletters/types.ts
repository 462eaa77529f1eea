// Words of dead letters: what was given up, wherever that was, and what an operator may do with it.
import type { ShopId } from '../../base/ids.ts'
import type { Outcome } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'

/** In the order in which they are listed. */
export const deadKinds = ['payment_operation', 'webhook_delivery', 'consumer_event'] as const
export type DeadKind = (typeof deadKinds)[number]

export type DeadLetter = {
  id: string
  kind: DeadKind
  orderId: string | null
  reason: string
  tries: number
  since: Instant
  /** Somebody wants it tried again, and nobody has yet. */
  retryAskedAt: Instant | null
  data: Record<string, unknown>
}

/** `next` is the source's own word for where the next page begins; null after the last. */
export type DeadLetterPage = { letters: DeadLetter[]; next: string | null }

/** One place where things are given up. Every shop has its own. */
export type DeadLetterSource = {
  kind: DeadKind
  /** Whether an id is one of its own. */
  owns(id: string): boolean
  /** Whether `after` may be such a word. */
  isNext(text: string): boolean
  list(shopId: ShopId, page: { after: string | null; limit: number }): Promise<DeadLetterPage>
  get(shopId: ShopId, id: string): Promise<DeadLetter | undefined>
  /** Has it tried again. Answers its id from now on, which may be another. Refused: `not_found`. */
  retry(shopId: ShopId, id: string): Promise<Outcome<string>>
  /** Refused: `not_found`, `dead_letter_blocked`. */
  drop(shopId: ShopId, id: string): Promise<Outcome<true>>
}

export type DroppedLetter = { letter: DeadLetter; reason: string; droppedAt: Instant; droppedBy: string | null }
