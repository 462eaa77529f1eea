// Keeps the list of work as a consumer of the log. An event only says which order has changed: its rows are made anew from the
// order as it is, in the transaction that moves the position on, so that events may come again in any order of rewinding.
import { parseWireId, type ShopId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Consumer } from '../../runtime/bus.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { replaceWork, type WorkRow } from './store.ts'
import type { ShopOrder, Work } from './types.ts'

/** What is to be done about orders as they are now; of one about which there is nothing, nothing is told. */
export type ReadOrderWork = (
  session: Session,
  orders: readonly ShopOrder[],
) => Promise<(ShopOrder & { work: Pick<Work, 'location' | 'statuses'>[] })[]>

export const fulfilmentConsumer = (readOrderWork: ReadOrderWork): Consumer => ({
  name: 'fulfilment',
  lingerMs: limits.fulfilmentLingerMs,
  isRepeatable: true,
  types: {
    names: new Set([
      'order.confirmed',
      'order.cancelled',
      'order.completed',
      'order.lines_cancelled',
      'order.short_picked',
      'order.unpaid',
    ]),
    nouns: new Set(['shipment']),
  },
  async apply(session, events) {
    const orders = new Map<string, ShopOrder>()
    for (const { shopId, subject } of events) {
      const id = parseWireId(subject)
      if (id) orders.set(`${shopId} ${id.uuid}`, { shopId: shopId as ShopId, orderId: id.uuid })
    }
    const changed = [...orders.values()]
    const rows: WorkRow[] = (await readOrderWork(session, changed)).flatMap(({ shopId, orderId, work }) =>
      work.flatMap(({ location, statuses }) => statuses.map((status) => ({ shopId, orderId, location, status }))),
    )
    await replaceWork(session, changed, rows)
  },
})
