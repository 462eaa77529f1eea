// Real processes, killed at seeded moments under load: nothing acknowledged is lost, nothing is done twice, the sums are right.
// The server runs as a user runs it, with fsync on. `npm run chaos` does the same for as long as one likes.
import { expect, test } from 'vitest'
import { killsARound, type Victim } from './plan.ts'
import { runCrashes } from './run.ts'

test('what was acknowledged outlives kill -9 of the server, of PostgreSQL, of the provider, of everything, and of the client', async () => {
  const killed: Victim[] = []
  const found = await runCrashes({
    seed: 20_261,
    goesOn: (kills) => kills < killsARound,
    hurry: true,
    onKill: ({ victim }) => killed.push(victim),
  })

  expect(new Set(killed)).toEqual(new Set(['all', 'client', 'postgres', 'provider', 'server']))
  expect(found.faults).toEqual([])
  // A run in which little happened would show little.
  const { order, hold, adjust, ...steps } = found.acknowledged
  expect(Math.min(order, hold, adjust)).toBeGreaterThan(50)
  expect(Object.entries(steps).filter(([, count]) => count < 3)).toEqual([])
  expect(found.payments['test captured']).toBeGreaterThan(10)
  expect(found.payments['stripe captured']).toBeGreaterThan(10)
  expect(found.stripeEvents).toBeGreaterThan(10)
  expect(found.replayed).toBeGreaterThan(10)
  expect(found.refused.insufficient_stock).toBeGreaterThan(10) // units were scarce
}, 240_000)
