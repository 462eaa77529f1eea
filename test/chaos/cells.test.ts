// Three real cells on a network that is cut, slowed and flapping, while they are killed, frozen and restarted: units, orders, keys
// and money agree over all of them in the end, and a cell that was cut off has gone on selling. `npm run chaos` does the same for
// as long as one likes.
import { expect, test } from 'vitest'
import { type Fault, stepsARound } from './cells/plan.ts'
import { runCells } from './cells/run.ts'

test('cells sell through partitions, kills and freezes, and nothing is oversold, lost or doubled', async () => {
  const done: Fault['kind'][] = []
  const found = await runCells({
    seed: 20_264,
    forMsMax: 2_500,
    goesOn: (steps) => steps < stepsARound,
    onStep: ({ faults }) => done.push(...faults.map(({ kind }) => kind)),
  })

  expect(found.faults, 'seed 20264').toEqual([])
  expect(new Set(done).size).toBe(stepsARound)
  // A run in which little happened would show little.
  expect(found.acknowledged.order).toBeGreaterThan(100)
  expect(found.goodput.length).toBeGreaterThan(0)
}, 240_000)
