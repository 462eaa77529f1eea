// Whether a thing is what its request asked for, compared field by field.
import type { Command, Order } from '../../src/modules/orders/types.ts'
import type { Hold } from '../../src/modules/stock/types.ts'

/** Undefined when it is; otherwise what differs. What somebody may have edited since is not compared. */
export function sameRequest(
  command: Command,
  thing: { order?: Order | undefined; hold?: Hold | undefined },
  wasEdited: boolean,
): string | undefined {
  if (command.kind === 'exchange_order') return sameRequest(command.order, thing, wasEdited)
  const { order, hold } = thing
  if ('shopId' in command && [order, hold].some((one) => one && one.shopId !== command.shopId))
    return 'it is another shop’s'
  if (command.kind === 'place_hold') {
    if (!hold) return 'a hold was acknowledged without one'
    return differs(`hold ${hold.id}`, linesOf(hold.lines), linesOf(command.lines))
  }
  if (command.kind !== 'place_order') return undefined
  if (!order) return 'an order was acknowledged without one'
  const { currency, reference, customer, provider, holdId, personal, annotations } = command
  const priced = (lines: Order['lines'] | typeof command.lines) =>
    lines.map(({ sku, quantity, unitPrice, amount }) => [sku, quantity, unitPrice, amount])
  return differs(
    `order ${order.id}`,
    [
      order.currency,
      order.reference,
      order.customer,
      order.provider,
      order.holdId,
      ...(wasEdited ? [] : [order.personal, order.annotations]),
      priced(order.lines),
    ],
    [
      currency,
      reference,
      customer,
      provider,
      holdId,
      ...(wasEdited ? [] : [personal, annotations]),
      priced(command.lines),
    ],
  )
}

const linesOf = (lines: readonly { sku: string; quantity: number }[]) =>
  lines.map(({ sku, quantity }) => [sku, quantity])

function differs(what: string, has: unknown, asked: unknown): string | undefined {
  const [left, right] = [JSON.stringify(has), JSON.stringify(asked)]
  return left === right ? undefined : `${what} is ${left}, asked was ${right}`
}
