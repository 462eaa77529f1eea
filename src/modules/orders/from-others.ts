// What other cells' logs and messages say that concerns the engine here: units sent to this cell, and orders whose key another cell
// may have taken too. Each bears being told twice.
import type { CellName, ShopId, Uuid } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import type { Consumer } from '../../runtime/bus.ts'
import type { Database } from '../../runtime/pg.ts'
import type { UnitPeers } from '../stock/allotments.ts'
import { receiptsIn } from '../stock/transferred.ts'
import type { Received, ReceiveUnits, Sent } from '../stock/types.ts'
import { meetOrders } from './meeting.ts'
import type { ReadOrder } from './reads.ts'
import { type Commands, submissionOf } from './service.ts'
import { keyRowOf, lookUpKeys } from './store.ts'
import type { Command, Value } from './types.ts'

/** The engine, as messages of other cells use it. */
export function engineForOthers(commands: Pick<Commands, 'submit'>, now: () => Instant) {
  async function valueOf<K extends Value['kind']>(command: Command, kind: K): Promise<Extract<Value, { kind: K }>> {
    const outcome = await commands.submit(submissionOf(command, null, now()))
    if (!outcome.ok || outcome.value.kind !== kind) throw new Error(`${command.kind}: ${JSON.stringify(outcome)}`)
    return outcome.value as Extract<Value, { kind: K }>
  }
  return {
    send: async (command: Command & { kind: 'send_units' }): Promise<Sent> => (await valueOf(command, 'sent')).sent,
    receive: async (command: ReceiveUnits): Promise<Received> => (await valueOf(command, 'received')).received,
    supersede: async (command: Command & { kind: 'supersede_order' }): Promise<void> => {
      await valueOf(command, 'order')
    },
  }
}

type Options = {
  cell: CellName
  database: Pick<Database, 'query'>
  peers: Pick<UnitPeers, 'call'>
  engine: ReturnType<typeof engineForOthers>
  onMismatch(shopId: ShopId, order: string, other: string): void
}

/** Credits what another cell's log says it has sent here, and lets its orders meet those of this cell. */
export function newsConsumer(from: CellName, options: Options): Consumer {
  const { cell, database, engine } = options
  const meeting = {
    ...{ cell, supersede: engine.supersede, onMismatch: options.onMismatch },
    findKeys: async (keys: Parameters<typeof lookUpKeys>[1]) =>
      (await lookUpKeys({ run: database.query }, keys)).map(keyRowOf),
    async standing(of: CellName, shopId: ShopId, orders: readonly Uuid[]) {
      const body = { shop_id: shopId, orders: [...orders] }
      const answer = await options.peers.call(of, 'standing', body, { deadlineMs: limits.askMsMax })
      return new Set((answer as { standing: Uuid[] }).standing)
    },
  }
  return {
    name: `news from ${from}`,
    types: { names: new Set(['stock.transferred', 'order.keyed']), nouns: new Set() },
    isRepeatable: true,
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

/** Which of its orders stand, as another cell asks. */
export function standingHandler(readOrder: ReadOrder) {
  return async (_from: CellName, body: Json): Promise<Json> => {
    const { shop_id: shopId, orders } = body as { shop_id: ShopId; orders: Uuid[] }
    const found = await Promise.all(orders.slice(0, limits.standingOrdersMax).map((id) => readOrder(shopId, id)))
    return { standing: found.flatMap((order) => (order && order.status !== 'cancelled' ? [order.id] : [])) }
  }
}
