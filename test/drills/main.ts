// npm run drill -- <name>: loses a standby, a machine, a region or a disk of real servers and cells on this machine, and measures
// what becomes of orders and time. The last line of standard output is one JSON object; exit code 1 when a promise was broken.
import { restoreDrill } from './restore.ts'

type Drill = { run(): Promise<object>; broken(report: never): string[] }

const drills: Record<string, Drill> = {
  restore: {
    run: restoreDrill,
    broken: ({
      sold_while_frozen: frozen,
      changed_while_frozen: changed,
      units,
      units_after: after,
      sold_in_all: sold,
    }: Record<string, number>) => [
      ...(frozen === 0 ? [] : [`${frozen} orders were taken while it was frozen`]),
      ...(changed ? ['an order was changed while it was frozen'] : []),
      ...(after === units ? [] : [`there are ${after} units instead of ${units}`]),
      ...(sold! <= units! ? [] : [`${sold} of ${units} units were sold`]),
    ],
  },
}

const name = process.argv[2] ?? ''
const drill = Object.hasOwn(drills, name) ? drills[name] : undefined
if (!drill) {
  console.error(`Usage: npm run drill -- ${Object.keys(drills).join(' | ')}`)
  process.exitCode = 1
} else {
  const report = await drill.run()
  const broken = drill.broken(report as never)
  for (const promise of broken) console.error(promise)
  console.log(JSON.stringify({ drill: name, ...report, broken: broken.length }))
  process.exitCode = broken.length === 0 ? 0 : 1
}
