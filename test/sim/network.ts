// Messages between clients and processes: lost, doubled, late and out of order, as the plan's odds say. A message is a call
// at the receiver; whoever sends learns nothing unless the receiver sends back.
import type { Prng } from '../../src/base/prng.ts'
import type { NetworkOdds } from './plan.ts'
import type { Scheduler } from './scheduler.ts'

export type Network = {
  send(deliver: () => void): void
  /** From now on nothing is lost, doubled or very late. */
  heal(): void
}

export function createNetwork(scheduler: Scheduler, random: Prng, odds: NetworkOdds): Network {
  let present = odds
  const latency = () => (random.chance(present.late) ? 5 + random.next() * 400 : 0.1 + random.next() * 3)
  return {
    send(deliver) {
      if (!random.chance(present.lost)) scheduler.after(latency(), deliver)
      if (random.chance(present.doubled)) scheduler.after(latency(), deliver)
    },
    heal() {
      present = { lost: 0, doubled: 0, late: 0 }
    },
  }
}
