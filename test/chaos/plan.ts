// Who is killed, and when: everything that a seed decides about a run. A moment is a number of answers after the last
// recovery, and a few milliseconds more, so that a kill meets the load whatever the machine's speed.
import { type Prng, prng } from '../../src/base/prng.ts'

/** `all`: the parent, the cell, PostgreSQL with every backend. `client`: the one that sends the load. */
export type Victim = 'server' | 'postgres' | 'all' | 'client'
export type Kill = { victim: Victim; afterAnswers: number; afterMs: number }

const often: readonly Victim[] = ['server', 'postgres', 'server', 'postgres', 'all', 'client']

/** Endless; every six kills meet each victim at least once. */
export function* killsOf(seed: number): Generator<Kill, never> {
  const random = prng(seed)
  for (;;) {
    for (const victim of shuffled(often, random)) {
      yield { victim, afterAnswers: random.between(60, 240), afterMs: random.between(0, 40) }
    }
  }
}

function shuffled<T>(items: readonly T[], random: Prng): T[] {
  const left = [...items]
  return items.map(() => left.splice(random.between(0, left.length - 1), 1)[0]!)
}
