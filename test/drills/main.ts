// npm run drill -- <name>: loses a standby, a machine, a region or a disk of real servers and cells on this machine, and measures
// what becomes of orders and time. The last line of standard output is one JSON object; exit code 1 when a promise was broken.
import { lossDrill } from './region-loss.ts'
import { restoreDrill } from './restore.ts'
import { standbyDrill } from './standby-dead.ts'

type Drill = { run(): Promise<object>; broken(report: never): string[] }

const loss = (standby: string): Drill => ({
  run: () => lossDrill(standby),
  broken: ({ acknowledged_lost: lost, is_frozen: frozen }: { acknowledged_lost: number; is_frozen: boolean }) => [
    ...(lost === 0 ? [] : [`${lost} orders that were acknowledged are lost`]),
    ...(frozen ? ['a standby that had everything was frozen'] : []),
  ],
})

const drills: Record<string, Drill> = {
  'region-loss': loss('us'),
  'node-loss': loss('eu'),
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
