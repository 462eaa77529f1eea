// npm run chaos -- --minutes 30 --seed 7: the crash test for as long as one likes. Ends with code 1 and what it found wrong.
import { parseArgs } from 'node:util'
import { runCrashes } from './run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seed = Number(values.seed)
const until = Date.now() + Number(values.minutes) * 60_000

console.log(`seed ${seed}, ${values.minutes} min`)
const found = await runCrashes({
  seed,
  goesOn: () => Date.now() < until,
  onKill: ({ victim, recoveryMs }) =>
    console.log(`${new Date().toISOString()} killed ${victim}, answers after ${recoveryMs} ms`),
})
const { faults, ...counts } = found
console.log(JSON.stringify(counts))
for (const fault of faults.slice(0, 100)) console.log(`WRONG: ${fault}`)
console.log(faults.length === 0 ? 'nothing lost, nothing doubled' : `${faults.length} faults; seed ${seed}`)
process.exitCode = faults.length === 0 ? 0 : 1
