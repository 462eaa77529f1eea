// holdfast audit: recomputes every counter of units and all money, and compares. Exit code 1 when they differ, so that a script
// can tell.
import { parseArgs } from 'node:util'
import { createClient } from '@holdfast/sdk'
import { type Instant, toRfc3339 } from '../base/time.ts'
import { newRounds, runMoneyAudit } from '../modules/ledger/audit.ts'
import { summedNames, sumsTogether } from '../modules/ledger/sums.ts'
import type { MoneyDifference, MoneySums } from '../modules/ledger/types.ts'
import { readTestCharges, readUnderWay } from '../modules/payments/sums.ts'
import { type AuditDifference, type AuditSums, runAudit } from '../modules/stock/audit.ts'
import { systemClock } from '../runtime/clock.ts'
import { keepHorizon } from '../runtime/horizon.ts'
import { ensureIncarnation, presentLife } from '../runtime/incarnation.ts'
import type { Database } from '../runtime/pg.ts'
import { formatPosition } from '../runtime/position.ts'
import { auditAll } from './audit-all.ts'
import { databaseHelp, databaseOptions, withDatabase } from './database.ts'
import { usage } from './failure.ts'
import { formatTable } from './table.ts'

export const auditHelp = `Usage: holdfast audit --url URL --key KEY [--fresh] [--json]
       holdfast audit --all --url URL --key KEY [--json]
       holdfast audit [--database-url URL | --data DIR] [--json]

Of a running server: its last audit, or with --fresh one that begins now. Of a database: always one that begins now, which
cannot know what is in flight to other cells.
With --all: of every cell that the one at URL knows, while they run, and whether units
are conserved between them; cells that are out of reach are told as missing.
Exit code 1 when units or money are not what the log, the orders or the providers say.

  --url URL           a running server
  --key KEY           its key, with the scope audit:read; for --all also cells:read
  --all               all cells, and what is between them
  --fresh             do not answer an audit of some seconds ago
${databaseHelp}
  --json              the last line of standard output is one JSON object`

export type AuditReport = {
  consistent: boolean
  checked_at: string
  position: string
  sums: AuditSums
  differences: readonly AuditDifference[]
  money: {
    behind: number
    dead: number
    sums: readonly MoneySums[]
    differences: readonly MoneyDifference[]
  }
}

export async function audit(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      ...databaseOptions,
      url: { type: 'string' },
      key: { type: 'string' },
      all: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  if (values.all) return auditAll(values)
  const report = values.url === undefined ? await withDatabase(values, ofDatabase) : await ofServer(values)
  printReport(report)
  if (values.json) console.log(JSON.stringify(report))
  return report.consistent ? 0 : 1
}

async function ofServer({
  url = '',
  key,
  fresh,
}: {
  url?: string
  key?: string
  fresh: boolean
}): Promise<AuditReport> {
  if (!URL.canParse(url)) throw usage('--url must be the address of a running server, such as http://127.0.0.1:8080.')
  if (!key) throw usage('--key is missing: the development profile accepts sk_dev.')
  return createClient({ url, key }).audit({ fresh })
}

/** All shops together. */
async function ofDatabase(database: Database): Promise<AuditReport> {
  let failure: unknown
  const lives = await ensureIncarnation(database)
  const horizon = await keepHorizon({ database, lives, onError: (error) => (failure = error) })
  try {
    const deps = { database, settledSeq: async () => horizon.seq, now: systemClock.now }
    const result = await runAudit(deps)
    const money = await moneyOf(deps)
    if (failure !== undefined) throw failure
    const sums = noSums()
    const differences: AuditDifference[] = []
    for (const shop of result.shops.values()) {
      for (const name of sumNames) sums[name] += shop.sums[name]
      differences.push(...shop.differences)
    }
    const position = formatPosition({ incarnation: presentLife(lives).incarnation, seq: result.seq })
    return {
      consistent: differences.length === 0 && money.differences.length === 0,
      checked_at: toRfc3339(result.checkedAt),
      position,
      sums,
      differences,
      money,
    }
  } finally {
    await horizon.stop()
  }
}

/** Every order's life is compared, however many there are. */
async function moneyOf(deps: {
  database: Database
  settledSeq(): Promise<number>
  now(): Instant
}): Promise<AuditReport['money']> {
  const { database } = deps
  const outside = {
    providers: [{ name: 'test', sums: () => readTestCharges(database) }],
    underWay: () => readUnderWay(database),
    whenBooked: async () => {}, // whoever books does it elsewhere, or is not running
  }
  const { behind, dead, shops } = await runMoneyAudit({ ...deps, ...outside }, newRounds(), Number.POSITIVE_INFINITY)
  const differences = [...shops.values()].flatMap((shop) => shop.differences)
  return { behind, dead, sums: sumsTogether(shops.values()), differences }
}

const sumNames = [
  'received',
  'returned',
  'corrections',
  'transferred',
  'on_hand',
  'reserved',
  'committed',
  'shipped',
  'in_flight',
] as const
const noSums = (): AuditSums => Object.fromEntries(sumNames.map((name) => [name, 0])) as AuditSums

function printReport({ consistent, checked_at, sums, differences, money }: AuditReport): void {
  const right = (head: string) => ({ head, align: 'right' as const })
  console.log(`${consistent ? 'Consistent' : 'NOT CONSISTENT'} at ${checked_at}`)
  console.log(
    formatTable(
      [{ head: 'Units' }, right('Sum')],
      sumNames.map((name) => [name, sums[name].toLocaleString('en')]),
    ),
  )
  printMoney(money)
  if (differences.length === 0) return
  const heads = [{ head: 'SKU' }, { head: 'Location' }, { head: 'Counter' }, right('By the log'), right('Stored')]
  const rows = differences.map((one) => [
    one.sku ?? '(row gone)',
    one.location ?? '',
    one.counter,
    String(one.expected),
    String(one.actual),
  ])
  console.log(`\n${formatTable(heads, rows)}`)
}

function printMoney({ behind, dead, sums, differences }: AuditReport['money']): void {
  const right = (head: string) => ({ head, align: 'right' as const })
  const told = (amount: number | null) => (amount === null ? '' : amount.toLocaleString('en'))
  if (behind > 0) console.log(`\nThe ledger has ${behind} places of the log still to read.`)
  if (dead > 0) console.log(`\n${dead} events that the ledger could not apply stand in the dead letters.`)
  for (const one of sums) {
    const rows = [
      ...summedNames.map((name) => [name, told(one[name])]),
      ...Object.entries(one.providers).map(([name, { ours, theirs }]) => [
        theirs === null ? `at ${name}` : `at ${name} (which says ${told(theirs)})`,
        told(ours),
      ]),
    ]
    console.log(`\n${formatTable([{ head: `Money, minor units of ${one.currency}` }, right('Sum')], rows)}`)
  }
  if (differences.length === 0) return
  const heads = [{ head: 'Money' }, { head: 'What' }, { head: 'Order' }, right('Expected'), right('Found')]
  const rows = differences.map((one) => [
    one.check,
    `${one.what} ${one.currency ?? ''}`.trim(),
    one.order_id ?? '',
    told(one.expected),
    told(one.actual),
  ])
  console.log(`\n${formatTable(heads, rows)}`)
}
