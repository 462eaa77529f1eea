// What other cells' logs and messages say that concerns the engine here: units sent to this cell, and orders whose key another cell
// may have taken too. Each bears being told twice.
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { type CellName, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
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
import { type MeetingOptions, meetOrders } from './meeting.ts'
import type { ReadOrder } from './reads.ts'
import { type Commands, submissionOf } from './service.ts'
import { keyRowOf, lookUpKeys } from './store.ts'
import type { Command, Value } from './types.ts'

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
    supersede: async (command: Command & { kind: 'supersede_order' }): Promise<void> => {
      await resultOf(command, 'order')
    },
  }
}

export type EngineForOthers = ReturnType<typeof engineForOthers>

type Options = {
  cell: CellName
  database: Pick<Database, 'query'>
  peers: Pick<UnitPeers, 'call'>
  engine: Pick<EngineForOthers, 'receive' | 'supersede'>
  readOrder: ReadOrder
  onMismatch(shopId: ShopId, order: string, other: string): void
}

/** Credits what another cell's log says it has sent here, and lets its orders meet those of this cell. */
export function newsConsumer(from: CellName, options: Options): Consumer {
  const { cell, database, engine } = options
  const meeting = {
    ...{ cell, supersede: engine.supersede, onMismatch: options.onMismatch },
    findKeys: async (keys: Parameters<typeof lookUpKeys>[1]) =>
      (await lookUpKeys({ run: database.query }, keys)).map(keyRowOf),
    standing: askStanding(options.peers),
    async tellElder(of: CellName, { shopId, id, elder }: { shopId: ShopId; id: Uuid; elder: Uuid }) {
      const order = await options.readOrder(shopId, elder)
      if (!order || order.status === 'cancelled') return
      const body = { shop_id: shopId, order: id, elder }
      await options.peers.call(of, 'duplicate', body, { deadlineMs: limits.askMsMax })
    },
  }
  return {
    name: `news from ${from}`,
    types: { names: new Set(['stock.transferred', 'order.keyed']), nouns: new Set() },
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
  elder: Type.String({ format: 'uuid' }),
})
const checkDuplicate = Compile(DuplicateMessage)

/** The home of an elder order says that it stands: it is asked again, since this may have been long on its way. */
export function duplicateHandler(
  { supersede }: Pick<EngineForOthers, 'supersede'>,
  standing: MeetingOptions['standing'],
) {
  return async (from: CellName, body: Json): Promise<Json> => {
    if (!checkDuplicate.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It names no two orders.'))
    const { shop_id: shopId, order: orderId, elder } = body as { shop_id: ShopId; order: Uuid; elder: Uuid }
    const stands = (await standing(from, shopId, [elder])).has(elder)
    const by = toWireId('ord', from, elder)
    if (stands) await supersede({ kind: 'supersede_order', shopId, orderId, by, ifVersion: null })
    return {}
  }
}

/** Asks another cell which of its orders stand. */
export const askStanding =
  (peers: Pick<UnitPeers, 'call'>): MeetingOptions['standing'] =>
  async (of, shopId, orders) => {
    const body = { shop_id: shopId, orders: [...orders] }
    const answer = await peers.call(of, 'standing', body, { deadlineMs: limits.askMsMax })
    return new Set((answer as { standing: Uuid[] }).standing)
  }

const StandingMessage = closed({
  shop_id: Type.Integer({ minimum: 1 }),
  orders: Type.Array(Type.String({ format: 'uuid' }), { maxItems: limits.standingOrdersMax }),
})
const checkStanding = Compile(StandingMessage)

/** Which of its orders stand, as another cell asks. */
export function standingHandler(readOrder: ReadOrder) {
  return async (_from: CellName, body: Json): Promise<Json> => {
    if (!checkStanding.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It asks for no orders.'))
    const { shop_id: shopId, orders } = body as { shop_id: ShopId; orders: Uuid[] }
    const found = await Promise.all(orders.map((id) => readOrder(shopId, id)))
    return { standing: found.flatMap((order) => (order && order.status !== 'cancelled' ? [order.id] : [])) }
  }
}
