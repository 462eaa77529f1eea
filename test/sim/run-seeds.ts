// What both simulators do from the command line: [--seeds 1000] [--from 1] [--seed N --trace] runs seeds until one fails, which is
// printed, and which runs the same again.
import { parseArgs } from 'node:util'
import { type System, systemUnderTest } from './system.ts'
import type { Violation } from './violation.ts'

type Report = { violation: Violation | null; steps: number; commits: number; accepted: number }
type RunSeed = (system: System, seed: number, trace?: (line: string) => void) => Promise<Report>

/** `script`: how to run one seed again. Ends the process. */
export async function runSeeds(runSeed: RunSeed, { script, world }: { script: string; world: string }): Promise<never> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  })
  const first = Number(values.seed ?? values.from)
  const count = values.seed === undefined ? Number(values.seeds) : 1
  const startedAt = performance.now()
  const sums = { steps: 0, commits: 0, accepted: 0 }
  const told = (): string => {
    const seconds = (performance.now() - startedAt) / 1000
    const { accepted, commits, steps } = sums
    return `${accepted} accepted, ${commits} commits, ${steps} steps in ${seconds.toFixed(1)} s (${Math.round(steps / seconds)} steps/s)`
  }
  for (let seed = first; seed < first + count; seed++) {
    const report = await runSeed(systemUnderTest, seed, values.trace ? (line) => console.log(line) : undefined)
    for (const name of ['steps', 'commits', 'accepted'] as const) sums[name] += report[name]
    if (report.violation) {
      console.log(`seed ${seed} breaks ${report.violation.message}`)
      console.log(`again, step by step: node ${script} --seed ${seed} --trace`)
      process.exit(1)
    }
    const done = seed - first + 1
    if (done % 500 === 0 && done < count) console.log(`${done} seeds hold: ${told()}`)
  }
  console.log(`${count} seeds of ${world} hold: ${told()}`)
  process.exit(0)
}
