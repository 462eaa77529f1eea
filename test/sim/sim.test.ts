// The simulator in every test run: past failures, some hundred fixed seeds, that a seed replays exactly, and that its eyes are
// open: every mutant is found. Long runs: npm run sim -- --seeds 100000.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { runCellsSeed } from './cells/world.ts'
import { systemUnderTest } from './system.ts'
import { runSeed } from './world.ts'

const pastSeedsOf = (file: string): number[] =>
  readFileSync(join(import.meta.dirname, file), 'utf8')
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => Number.parseInt(line, 10))

const holds = async (seed: number): Promise<void> => {
  const { violation } = await runSeed(systemUnderTest, seed)
  expect(violation, `seed ${seed}: node test/sim/main.ts --seed ${seed} --trace`).toBeNull()
}

const holdsInCells = async (seed: number): Promise<void> => {
  const { violation } = await runCellsSeed(systemUnderTest, seed)
  expect(violation, `seed ${seed}: node test/sim/cells/main.ts --seed ${seed} --trace`).toBeNull()
}

describe('every promise holds in the simulated cell', () => {
  test('in every world that once broke one', async () => {
    for (const seed of pastSeedsOf('seeds.txt')) await holds(seed)
  })

  test('in 300 more', { timeout: 120_000 }, async () => {
    for (let seed = 10_001; seed <= 10_300; seed++) await holds(seed)
  })
})

describe('every promise holds in the simulated world of many cells', () => {
  test('in every world that once broke one', async () => {
    for (const seed of pastSeedsOf('seeds-of-cells.txt')) await holdsInCells(seed)
  })

  test('in 100 more', { timeout: 120_000 }, async () => {
    for (let seed = 10_001; seed <= 10_100; seed++) await holdsInCells(seed)
  })

  test('and a seed replays exactly', async () => {
    const [first, second] = [[], []] as string[][]
    await runCellsSeed(systemUnderTest, 10, (line) => first!.push(line))
    await runCellsSeed(systemUnderTest, 10, (line) => second!.push(line))
    expect(first!.length).toBeGreaterThan(100)
    expect(second).toEqual(first)
  })
})

test('a seed replays exactly', async () => {
  const [first, second] = [[], []] as string[][]
  await runSeed(systemUnderTest, 7, (line) => first!.push(line))
  await runSeed(systemUnderTest, 7, (line) => second!.push(line))
  expect(first!.length).toBeGreaterThan(100)
  expect(second).toEqual(first)
})

test('without any one of its guards the engine is caught within 1,000 seeds', { timeout: 300_000 }, async () => {
  const script = join(import.meta.dirname, 'mutants.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--known', '--seeds', '1000'])
  expect(stdout).not.toContain('LIVES')
  expect(stdout).toMatch(/(\d+) of \1 mutants found\n$/)
})
