// npm run drill -- <name>: loses a standby, a machine, a region or a disk of real servers and cells on this machine, and measures
// what becomes of orders and time. The last line of standard output is one JSON object; exit code 1 when a promise was broken.
import { fencingDrill } from './fencing.ts'
import { patroniDrill } from './patroni-loss.ts'
import { lossDrill } from './region-loss.ts'
import { restoreDrill } from './restore.ts'
import { standbyDrill } from './standby-dead.ts'

type Drill = { run(): Promise<object>; broken(report: never): string[] }

const lossBroken = (report: { acknowledged_lost: number; is_frozen: boolean }): string[] => [
  ...(report.acknowledged_lost === 0 ? [] : [`${report.acknowledged_lost} orders that were acknowledged are lost`]),
  ...(report.is_frozen ? ['a standby that had everything was frozen'] : []),
]
const loss = (standby: string): Drill => ({ run: () => lossDrill(standby), broken: lossBroken })

const drills: Record<string, Drill> = {
  'region-loss': loss('us'),
  'region-loss --patroni': { run: patroniDrill, broken: lossBroken },
  'node-loss': loss('eu'),
  fencing: {
    run: fencingDrill,
    broken: (report: Record<string, number>) => [
      ...(report.acknowledged_by_old === 0
        ? []
        : [`${report.acknowledged_by_old} orders were taken by the old primary`]),
      ...(report.acknowledged_lost === 0 ? [] : [`${report.acknowledged_lost} orders that were acknowledged are lost`]),
      ...(report.claimed_twice_heard === 0 ? ['the other cell did not refuse the old primary'] : []),
      ...(report.new_sells ? [] : ['the promoted standby does not sell']),
    ],
  },
  'standby-dead': {
    run: standbyDrill,
    broken: ({ acknowledged_while_dead: count }: { acknowledged_while_dead: number }) =>
      count === 0 ? [] : [`${count} orders were acknowledged that the standby had not got`],
  },
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

const [name = '', ...flags] = process.argv.slice(2)
const wanted = flags.length === 0 ? name : `${name} ${flags.join(' ')}`
const drill = Object.hasOwn(drills, wanted) ? drills[wanted] : undefined
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
