// Any lives of orders, played with a provider that answers in any order, doubled, late and wrong at first; and their events.
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import { heldOf, lifeOf } from '../../../src/modules/orders/money.ts'
import type { Command, Order } from '../../../src/modules/orders/types.ts'
import type { EngineEvent } from '../../../src/modules/stock/decide.ts'
import { carryOn, freshState, submit } from '../orders/decide-given.ts'
import { type anyLife, commandOf, createProvider, placing, type Said } from '../orders/life-any.ts'
import { card, shopId } from '../orders/life-given.ts'

type Life = typeof anyLife extends { generate: (...args: never[]) => { value: infer T } } ? T : never
export type PlayedLife = {
  orders: readonly Order[]
  events: readonly EngineEvent[]
  provider: ReturnType<typeof createProvider>
}

/** Plays a life; `look` is shown every state between two commands. */
export function playLife({ orders, steps }: Life, look: (played: PlayedLife) => void = () => {}): PlayedLife {
  let state = freshState()
  const provider = createProvider()
  const events: EngineEvent[] = []
  const placed: Order['id'][] = []
  const played = (): PlayedLife => ({ orders: placed.map((id) => state.orders.get(id)!), events, provider })

  function run(command: Command, elapsedMs = 0) {
    state = carryOn(state, elapsedMs)
    const [outcome] = decideBatch(state, [submit(command)])
    events.push(...state.events)
    provider.hear(state.events)
    if (outcome!.ok && command.kind === 'place_order') placed.push(command.orderId)
    look(played())
    return outcome!
  }
  const settle = (said: Said | null) => said && run({ kind: 'settle', shopId, ...said })

  for (const order of orders) run(placing(order))
  for (const step of steps) {
    if (step.kind === 'command') {
      const order = played().orders[step.which]
      const command = order && commandOf(step.asked, order, lifeOf(order))
      if (command) run(command)
    } else if (step.kind === 'answer') {
      const said = provider.answer(step.nth, step.outcome)
      if (step.atOnce) settle(said)
    } else if (step.kind === 'again') {
      settle(provider.said[step.nth % Math.max(1, provider.said.length)] ?? null)
    } else if (step.kind === 'truth') {
      settle(provider.truth(step.nth))
    } else if (step.kind === 'lapse') {
      provider.lapse(step.nth)
    } else if (step.kind === 'take back') {
      settle(provider.takeBack(step.nth))
    } else if (step.kind === 'drop') {
      settle(provider.drop(step.nth, step.outcome))
    } else {
      run({ kind: 'expire_due', limit: 10 }, step.ms)
    }
  }

  /** Everything asked is answered, nothing is declined any more, and the provider's record is told as it is. */
  function settleAll(): void {
    for (let round = 0; round < 50; round++) {
      provider.makeAgain()
      while (provider.open.length > 0) settle(provider.answer(0, 'does'))
      for (const said of provider.said.filter((one) => one.settlement.of === 'refund')) settle(said)
      for (let charge = 0; charge < provider.charges.size; charge++) settle(provider.truth(charge))
      if (provider.open.length === 0) return
    }
    throw new Error('the provider is asked for ever')
  }
  settleAll()
  // A confirmed order whose money was declined later is paid by another attempt.
  for (const { id, status, total, life } of played().orders) {
    const order = { id, shopId }
    const missing = total - (life?.credited ?? 0) - (life ? heldOf(life) : total)
    const isAsked = life?.payments.some((one) => ['pending', 'requires_action', 'authorized'].includes(one.status))
    if (status === 'confirmed' && life && missing > 0 && !isAsked)
      run({ kind: 'start_payment', shopId, orderId: order.id, ifVersion: null, ...card() })
  }
  settleAll()
  return played()
}
