// What a client wants, and what it is told. An intent has one key and is pursued until it is answered; a request is one body
// under that key. Both are the simulator's own words for API.md's requests, one step above the engine's commands.
import type { ErrorCode } from '../../src/base/errors.ts'
import type { Uuid } from '../../src/base/ids.ts'
import type { FieldProblem } from '../../src/base/result.ts'
import type { Command, Order } from '../../src/modules/orders/types.ts'
import type { Hold } from '../../src/modules/stock/types.ts'

/** Ids of new things are blank: the process that takes the request makes them. */
export type Request = { hash: string; command: Exclude<Command, { kind: 'expire_due' }> }

export type Intent = { number: number; key: string | null; requests: Request[] }

export type Answer =
  | { kind: 'accepted'; replayed: boolean; id: Uuid | null; order?: Order | undefined; hold?: Hold | undefined }
  | { kind: 'refused'; code: ErrorCode; errors: FieldProblem[] }
  /** Not now: the client tries again with the same key. */
  | { kind: 'unavailable'; why: string }

export const blankId = '' as Uuid

export const describe = ({ command }: Request): string => {
  const { shopId, kind, ...rest } = command
  return `${kind} ${JSON.stringify(rest, (_, value) => (value === null ? undefined : value))}`
}
