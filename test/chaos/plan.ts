// Who is killed, and when: everything that a seed decides about a run. A moment is a number of answers after the last
// recovery, and a few milliseconds more, so that a kill meets the load whatever the machine's speed.
import { type Prng, prng } from '../../src/base/prng.ts'

/** `provider`: the stand-in of Stripe. `all`: it, the parent, the cell, PostgreSQL with every backend. `client`: who sends the load. */
export type Victim = 'server' | 'postgres' | 'provider' | 'all' | 'client'
/** `captureRule`: of the orders that are placed until then. */
export type Kill = { victim: Victim; captureRule: 'now' | 'at_shipment'; afterAnswers: number; afterMs: number }

const often: readonly Victim[] = ['server', 'postgres', 'provider', 'server', 'postgres', 'provider', 'all', 'client']
export const killsARound = often.length

/** Endless; every round of kills meets each victim at least once. */
export function* killsOf(seed: number): Generator<Kill, never> {
  const random = prng(seed)
  for (;;) {
    for (const victim of shuffled(often, random)) {
      yield {
        victim,
        captureRule: random.chance(0.6) ? 'now' : 'at_shipment',
        afterAnswers: random.between(60, 240),
        afterMs: random.between(0, 40),
      }
    }
  }
}

function shuffled<T>(items: readonly T[], random: Prng): T[] {
  const left = [...items]
  return items.map(() => left.splice(random.between(0, left.length - 1), 1)[0]!)
}
