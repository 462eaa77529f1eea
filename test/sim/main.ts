// npm run sim -- [--seeds 1000] [--from 1] [--seed N --trace]: runs seeds until one fails, which it prints and which runs
// the same again.
import { parseArgs } from 'node:util'
import { systemUnderTest } from './system.ts'
import { runSeed } from './world.ts'

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
let steps = 0
let commits = 0
let orders = 0
for (let seed = first; seed < first + count; seed++) {
  const report = await runSeed(systemUnderTest, seed, values.trace ? (line) => console.log(line) : undefined)
  steps += report.steps
  commits += report.commits
  orders += report.accepted
  if (report.violation) {
    console.log(`seed ${seed} breaks ${report.violation.message}`)
    console.log(`again, step by step: node test/sim/main.ts --seed ${seed} --trace`)
    process.exit(1)
  }
  if ((seed - first + 1) % 500 === 0) console.log(`${seed - first + 1} seeds hold`)
}
const seconds = (performance.now() - startedAt) / 1000
console.log(
  `${count} seeds hold: ${orders} orders, ${commits} commits, ${steps} steps in ${seconds.toFixed(1)} s (${Math.round(steps / seconds)} steps/s)`,
)
process.exit(0)
