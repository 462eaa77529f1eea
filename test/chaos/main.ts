// npm run chaos -- --minutes 5 --seed 7: three cells on a network that fails, for as long as one likes. With --one-cell the crash
// test. Ends with code 1, the seed and what it found wrong.
import { parseArgs } from 'node:util'
import { runCells } from './cells/run.ts'
import { runCrashes } from './run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    cells: { type: 'boolean', default: false }, // what is run unless the other is asked for
    'one-cell': { type: 'boolean', default: false },
    hurry: { type: 'boolean', default: false }, // of one cell
  },
})
const seed = Number(values.seed)
let until: number | undefined // counted from the first fault
const goesOn = () => {
  until ??= Date.now() + Number(values.minutes) * 60_000
  return Date.now() < until
}
const forMsMax = 10_000

console.log(`seed ${seed}, ${values.minutes} minutes`)
const { faults, ...found } = values['one-cell']
  ? await runCrashes({
      ...{ seed, goesOn, hurry: values.hurry },
      onKill: ({ victim, recoveryMs }) => say(`killed ${victim}, answers after ${recoveryMs} ms`),
    })
  : await runCells({
      ...{ seed, goesOn, forMsMax },
      onStep: (step, answers) => say(`${JSON.stringify(step.faults)}: ${answers} answers meanwhile`),
    })
console.log(JSON.stringify(found))
for (const fault of faults.slice(0, 100)) console.log(`WRONG: ${fault}`)
console.log(faults.length === 0 ? 'nothing lost, nothing doubled' : `${faults.length} faults; seed ${seed}`)
process.exitCode = faults.length === 0 ? 0 : 1

function say(line: string): void {
  console.log(`${new Date().toISOString()} ${line}`)
}
