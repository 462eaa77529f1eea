// npm run sim:cells -- [--seeds 1000] [--from 1] [--seed N --trace]: runs seeds of many cells until one fails, which it prints and
// which runs the same again.
import { parseArgs } from 'node:util'
import { systemUnderTest } from '../system.ts'
import { runCellsSeed } from './world.ts'

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
const sums = { steps: 0, commits: 0, accepted: 0, refused: 0 }
for (let seed = first; seed < first + count; seed++) {
  const report = await runCellsSeed(systemUnderTest, seed, values.trace ? (line) => console.log(line) : undefined)
  for (const name of ['steps', 'commits', 'accepted', 'refused'] as const) sums[name] += report[name]
  if (report.violation) {
    console.log(`seed ${seed} breaks ${report.violation.message}`)
    console.log(`again, step by step: node test/sim/cells/main.ts --seed ${seed} --trace`)
    process.exit(1)
  }
  if ((seed - first + 1) % 500 === 0) console.log(`${seed - first + 1} seeds hold`)
}
const seconds = (performance.now() - startedAt) / 1000
console.log(
  `${count} seeds of many cells hold: ${sums.accepted} orders, ${sums.refused} refused, ${sums.commits} commits, ${sums.steps} steps in ${seconds.toFixed(1)} s (${Math.round(sums.steps / seconds)} steps/s)`,
)
process.exit(0)
