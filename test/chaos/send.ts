// How an intent of the crash test goes through the SDK.
import type { CallOptions, Client } from '../../sdk/src/client.ts'
import type { Intent } from './journal.ts'

/** The answer's content: an order, a part of one, a hold, stock. */
export function sendIntent(client: Client, intent: Intent, options: CallOptions): Promise<unknown> {
  switch (intent.kind) {
    case 'order':
      return client.orders.place(intent.body, { ...options, wait: intent.wait })
    case 'pay':
      return client.orders.pay(intent.orderId, intent.body, { ...options, wait: intent.wait })
    case 'cancel':
      return client.orders.cancel(intent.orderId, intent.body, options)
    case 'ship':
      return client.orders.ship(intent.orderId, intent.body, options)
    case 'deliver':
      return client.shipments.deliver(intent.shipmentId, options)
    case 'return':
      return client.orders.return(intent.orderId, intent.body, options)
    case 'receive':
      return client.returns.receive(intent.returnId, intent.body, options)
    case 'refund':
      return client.orders.refund(intent.orderId, intent.body, options)
    case 'hold':
      return client.holds.place(intent.body, options)
    case 'extend':
      return client.holds.extend(intent.holdId, intent.body, options)
    case 'release':
      return client.holds.release(intent.holdId, options)
    case 'adjust':
      return client.stock.adjust([intent.body], options)
  }
}
