// Real processes, killed at seeded moments under load: nothing acknowledged is lost, nothing is done twice, the sums are right.
// The server runs as a user runs it, with fsync on. `npm run chaos` does the same for as long as one likes.
import { expect, test } from 'vitest'
import type { Victim } from './plan.ts'
import { runCrashes } from './run.ts'

test('what was acknowledged outlives kill -9 of the server, of PostgreSQL, of everything, and of the client', async () => {
  const killed: Victim[] = []
  const found = await runCrashes({
    seed: 20_261,
    goesOn: (kills) => kills < 6,
    onKill: ({ victim }) => killed.push(victim),
  })

  expect(killed.toSorted()).toEqual(['all', 'client', 'postgres', 'postgres', 'server', 'server'])
  expect(found.faults).toEqual([])
  // A run in which little happened would show little.
  const { orders, holds, adjustments, others } = found.acknowledged
  expect(Math.min(orders, holds, adjustments, others)).toBeGreaterThan(50)
  expect(found.replayed).toBeGreaterThan(10)
  expect(found.refused.insufficient_stock).toBeGreaterThan(10) // units were scarce
}, 120_000)
