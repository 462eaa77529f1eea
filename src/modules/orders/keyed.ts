// What an idempotency key remembers of its command: the id of what that made, or else of what it was about.
import type { Uuid } from '../../base/ids.ts'
import { type BatchState, keyOf } from './batch-state.ts'
import type { Command, ExpireDue, IdempotencyKey } from './types.ts'

export function rememberKey(state: BatchState, command: Exclude<Command, ExpireDue>, key: IdempotencyKey): void {
  const { shopId } = command
  const takenBy = command.kind === 'remember_key' ? command.takenBy : null
  const row = { shopId, ...key, resultId: resultIdOf(command), takenBy }
  state.keys.set(keyOf(shopId, key.hash), row)
  state.newKeys.push(row)
}

/** The id of what a command makes, drawn before it was queued. */
export function newIdOf(command: Command): Uuid | null {
  switch (command.kind) {
    case 'place_order':
      return command.orderId
    case 'place_hold':
      return command.holdId
    case 'start_payment':
      return command.payment.id
    case 'ship_order':
    case 'pick_order':
      return command.shipmentId
    case 'request_return':
      return command.returnId
    case 'exchange_order':
      return command.order.orderId
    case 'refund_order':
      return command.refundId
    default:
      return null
  }
}

function resultIdOf(command: Command): Uuid | null {
  const made = newIdOf(command)
  if (made !== null) return made
  if (command.kind === 'remember_key') return command.resultId
  if ('orderId' in command) return command.orderId
  return 'holdId' in command ? command.holdId : null
}
