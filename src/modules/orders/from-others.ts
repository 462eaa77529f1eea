// What other cells' logs and messages say that concerns the engine here: units sent to this cell, and orders whose key another cell
// may have taken too. Each bears being told twice.
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { CellName, ShopId, Uuid } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { closed } from '../../base/schemas.ts'
import type { Instant } from '../../base/time.ts'
import type { Consumer } from '../../runtime/bus.ts'
import { RefusedRequest } from '../../runtime/http.ts'
import type { Database } from '../../runtime/pg.ts'
import type { UnitPeers } from '../stock/allotments.ts'
import { receiptsIn } from '../stock/transferred.ts'
import type {
  HandOverUnits,
  Received,
  ReceiveUnits,
  Remembered,
  RememberSent,
  SendUnits,
  Sent,
} from '../stock/types.ts'
import { keyedEvents, type MeetingOptions, meetOrders, settlePair } from './meeting.ts'
import { standingOf } from './money.ts'
import type { ReadOrder } from './reads.ts'
import { type Commands, submissionOf } from './service.ts'
import { keyRowOf, lookUpKeys } from './store.ts'
import type { Command, IdempotencyKey, Order, RememberKey, SupersedeOrder, Value } from './types.ts'

/** The engine, as messages of other cells use it. */
export function engineForOthers(commands: Pick<Commands, 'submit'>, now: () => Instant) {
  async function resultOf<K extends Value['kind']>(command: Command, kind: K): Promise<Extract<Value, { kind: K }>> {
    const outcome = await commands.submit(submissionOf(command, null, now()))
    if (!outcome.ok || outcome.value.kind !== kind) throw new Error(`${command.kind}: ${JSON.stringify(outcome)}`)
    return outcome.value as Extract<Value, { kind: K }>
  }
  return {
    send: async (command: SendUnits | HandOverUnits): Promise<Sent> => (await resultOf(command, 'sent')).sent,
    receive: async (command: ReceiveUnits): Promise<Received> => (await resultOf(command, 'received')).received,
    remember: async (command: RememberSent): Promise<Remembered> => (await resultOf(command, 'remembered')).remembered,
    rememberKey: async (command: RememberKey, key: IdempotencyKey): Promise<void> => {
      const outcome = await commands.submit(submissionOf(command, key, now()))
      if (!outcome.ok && outcome.code !== 'idempotency_key_reused') throw new Error(JSON.stringify(outcome))
    },
    supersede: async (command: SupersedeOrder): Promise<Order> => (await resultOf(command, 'order')).order,
  }
}

export type EngineForOthers = ReturnType<typeof engineForOthers>

type Calling = Pick<UnitPeers, 'call'>

type Options = {
  cell: CellName
  database: Pick<Database, 'query'>
  peers: Calling
  engine: Pick<EngineForOthers, 'receive' | 'rememberKey' | 'supersede'>
  onMismatch(shopId: ShopId, order: string, other: string): void
}

/** Credits what another cell's log says it has sent here, and lets its orders meet those of this cell. */
export function newsConsumer(from: CellName, options: Options): Consumer {
  const { cell, database, engine } = options
  const meeting = {
    ...{ cell, rememberKey: engine.rememberKey, supersede: engine.supersede, onMismatch: options.onMismatch },
    findKeys: async (keys: Parameters<typeof lookUpKeys>[1]) =>
      (await lookUpKeys({ run: database.query }, keys)).map(keyRowOf),
    standing: askStanding(options.peers),
    tellOther: tellDuplicate(options.peers),
  }
  return {
    name: `news from ${from}`,
    types: { names: new Set(['stock.transferred', ...keyedEvents]), nouns: new Set() },
    isRepeatable: true,
    retryAsideMs: limits.asideRetryMs, // totals are absolute, so that a later one makes an earlier one good
    async ready(events) {
      for (const command of receiptsIn(events, from, cell)) {
        const { left } = await engine.receive(command)
        if (left > 0) throw new Error(`${left} places of ${from} are not known here yet`)
      }
      await meetOrders(meeting, from, events)
    },
    apply: async () => {}, // the engine has done it, in transactions of its own
  }
}

const DuplicateMessage = closed({
  shop_id: Type.Integer({ minimum: 1 }),
  order: Type.String({ format: 'uuid' }),
  other: Type.String({ format: 'uuid' }),
})
const checkDuplicate = Compile(DuplicateMessage)
const DuplicateAnswer = closed({ both_stand: Type.Boolean() })
const checkDuplicateAnswer = Compile(DuplicateAnswer)

/** An order of this cell has the key of one of the sender's. How that does is asked again, since this may have been long on its way. */
export function duplicateHandler(cell: CellName, { supersede }: Pick<EngineForOthers, 'supersede'>, peers: Calling) {
  const home = { cell, supersede, standing: askStanding(peers) }
  return async (from: CellName, body: Json): Promise<Json> => {
    if (!checkDuplicate.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It names no two orders.'))
    const { shop_id: shopId, order, other } = body as { shop_id: ShopId; order: Uuid; other: Uuid }
    return { both_stand: await settlePair(home, { shopId, own: order, from, id: other }) }
  }
}

const tellDuplicate =
  (peers: Calling): MeetingOptions['tellOther'] =>
  async (of, { shopId, id, other }) => {
    const body = { shop_id: shopId, order: id, other }
    const answer = await peers.call(of, 'duplicate', body, { deadlineMs: limits.askMsMax })
    if (!checkDuplicateAnswer.Check(answer)) throw new Error(`${of} answered no \`duplicate\``)
    return answer.both_stand
  }

const StandingMessage = closed({ shop_id: Type.Integer({ minimum: 1 }), order: Type.String({ format: 'uuid' }) })
const checkStanding = Compile(StandingMessage)
const StandingAnswer = closed({ stands: Type.Boolean(), is_paid: Type.Boolean() })
const checkStandingAnswer = Compile(StandingAnswer)

/** Asks another cell how one of its orders does. */
const askStanding =
  (peers: Calling): MeetingOptions['standing'] =>
  async (of, { shopId, id }) => {
    const body = { shop_id: shopId, order: id }
    const answer = await peers.call(of, 'standing', body, { deadlineMs: limits.askMsMax })
    if (!checkStandingAnswer.Check(answer)) throw new Error(`${of} answered no \`standing\``)
    return { stands: answer.stands, isPaid: answer.is_paid }
  }

/** How one of its orders does, as another cell asks. */
export function standingHandler(readOrder: ReadOrder) {
  return async (_from: CellName, body: Json): Promise<Json> => {
    if (!checkStanding.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It asks for no order.'))
    const { shop_id: shopId, order } = body as { shop_id: ShopId; order: Uuid }
    const { stands, isPaid } = standingOf(await readOrder(shopId, order))
    return { stands, is_paid: isPaid }
  }
}
