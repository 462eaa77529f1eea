// The key of an adjustment whose location has another home now. A retry must be decided where the first try was: so whoever does not
// know the key has each earlier home leave it to itself before it decides. An earlier home that has decided says so; any other
// remembers from then on who has the key, in the same table and under the same lock as if it had taken it. So each cell either
// decides a key or leaves it, for good, whatever it has heard of the move, and no two decide.
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { present } from '../../base/assert.ts'
import type { CellName, ShopId } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { type Refused, refused } from '../../base/result.ts'
import { closed } from '../../base/schemas.ts'
import { gather } from '../../runtime/gather.ts'
import { RefusedRequest } from '../../runtime/http.ts'
import type { Database } from '../../runtime/pg.ts'
import type { UnitPeers } from '../stock/allotments.ts'
import type { KeyRow } from './batch-state.ts'
import { findKey as findKeyIn } from './key-tables.ts'
import type { IdempotencyKey, RememberKey } from './types.ts'

type Keyed = IdempotencyKey & { shopId: ShopId }
type Ask = (keyed: Keyed) => Promise<CellName | null>

const Hash = Type.String({ pattern: '^[0-9a-f]{32}$' })
const LeaveKeysMessage = closed({
  keys: Type.Array(closed({ shop_id: Type.Integer({ minimum: 1 }), hash: Hash, request: Hash }), {
    minItems: 1,
    maxItems: limits.keysLeftAtOnce,
  }),
})
const checkMessage = Compile(LeaveKeysMessage)
const LeaveKeysAnswer = Type.Object({ takers: Type.Array(Type.Union([Type.String(), Type.Null()])) })
const checkAnswer = Compile(LeaveKeysAnswer)

type Options = {
  cell: CellName
  database: Pick<Database, 'transaction'>
  peers: Pick<UnitPeers, 'call'>
  rememberKey(command: RememberKey, key: IdempotencyKey): Promise<void>
  isOutOfReach(error: unknown): boolean
  /** The simulator's are in memory, and one by one. */
  together?: typeof gather
  findKey?: (shopId: ShopId, hash: string) => Promise<Pick<KeyRow, 'takenBy'> | undefined>
}

export function openLeftKeys({ cell, database, peers, rememberKey, isOutOfReach, ...more }: Options) {
  const { together = gather, findKey = (shopId: ShopId, hash: string) => findKeyIn(database, shopId, hash) } = more
  const asking = new Map<CellName, Ask>()

  /** Keys of one moment are one message. */
  const askOf = (of: CellName): Ask =>
    together(limits.keysLeftAtOnce, async (all: readonly Keyed[]) => {
      const keys = all.map(({ shopId, hash, request }) => ({ shop_id: shopId, hash, request }))
      const answer = await peers.call(of, 'leave-keys', { keys }, { deadlineMs: limits.askMsMax })
      if (!checkAnswer.Check(answer) || answer.takers.length !== all.length)
        throw new Error(`${of} answered no \`leave-keys\``)
      return answer.takers as (CellName | null)[]
    })

  function takerAt(of: CellName, keyed: Keyed): Promise<CellName | null> {
    const ask = asking.get(of) ?? askOf(of)
    asking.set(of, ask)
    return ask(keyed)
  }

  return {
    /** Another cell is about to decide keys. Who has each of them: null when it is left to the asker. */
    async answer(from: CellName, body: Json): Promise<Json> {
      if (!checkMessage.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It names no keys.'))
      const takers = body.keys.map(async ({ shop_id, hash, request }) => {
        const shopId = shop_id as ShopId
        await rememberKey({ kind: 'remember_key', shopId, resultId: null, takenBy: from }, { hash, request })
        const { takenBy } = present(await findKey(shopId, hash), 'a key that was remembered')
        return takenBy === from ? null : (takenBy ?? cell)
      })
      return { takers: await Promise.all(takers) }
    },

    /**
     * The cell that is to decide the key, as it may have done already; undefined: this one, to which each of `others` has left it.
     * Refuses `cell_unreachable` while one of them does not say.
     */
    async takeKey({ shopId, ...key }: Keyed, others: readonly CellName[]): Promise<CellName | Refused | undefined> {
      if (await findKey(shopId, key.hash)) return undefined // decided here, or left: the engine says which
      try {
        const takers = await Promise.all(others.map((other) => takerAt(other, { shopId, ...key })))
        // Who has left it to this cell does not decide it, whatever another was told before.
        const left = new Set(others.filter((_, at) => takers[at] === null))
        return takers.find((taker) => taker !== null && !left.has(taker)) ?? undefined
      } catch (error) {
        if (!isOutOfReach(error)) throw error
        const detail = 'It may have been done by a cell that was the home of the location, and does not answer.'
        return { ...refused('cell_unreachable', detail), mayHaveHappened: true }
      }
    },
  }
}
