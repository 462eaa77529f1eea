// npm run chaos -- --seconds 1800 --seed 7: the crash test for as long as one likes. Ends with code 1 and what it found wrong.
import { parseArgs } from 'node:util'
import { runCrashes } from './run.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    hurry: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const seed = Number(values.seed)
const until = Date.now() + Number(values.seconds) * 1_000

console.log(`seed ${seed}, ${values.seconds} s`)
const found = await runCrashes({
  seed,
  goesOn: () => Date.now() < until,
  hurry: values.hurry,
  onKill: ({ victim, recoveryMs }) =>
    console.log(`${new Date().toISOString()} killed ${victim}, answers after ${recoveryMs} ms`),
})
const { faults, ...counts } = found
console.log(JSON.stringify(counts))
for (const fault of faults.slice(0, 100)) console.log(`WRONG: ${fault}`)
console.log(faults.length === 0 ? 'nothing lost, nothing doubled' : `${faults.length} faults; seed ${seed}`)
process.exitCode = faults.length === 0 ? 0 : 1
