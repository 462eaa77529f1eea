// holdfast reconcile: compares every payment with what its provider holds, both ways, and tells the orders what they did not
// know. Exit code 1 when something is left that telling does not put right. It is also what ends the frozen state of a cell that was
// restored or promoted.
import { parseArgs } from 'node:util'
import { type CellName, isCellName, toWireId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { addMs, type Instant, parseRfc3339 } from '../base/time.ts'
import { openProviders } from '../cell-payments.ts'
import { createOrderReader, readOrdersOfSpan } from '../modules/orders/reads.ts'
import type { CommandOutcome, Settle } from '../modules/orders/types.ts'
import {
  emptyReport,
  type ReconcileParts,
  type ReconcileReport,
  reconcileCharges,
  reconcileOrders,
} from '../modules/payments/reconcile.ts'
import type { Provider } from '../modules/payments/types.ts'
import { systemClock } from '../runtime/clock.ts'
import { type Config, readConfig } from '../runtime/config.ts'
import { noFaults } from '../runtime/faults.ts'
import type { Database } from '../runtime/pg.ts'
import { thaw } from '../runtime/standing.ts'
import { databaseHelp, databaseOptions, openShop, withDatabase } from './database.ts'
import { usage } from './failure.ts'
import { compareFrozen, type FrozenReport, writtenOffOf } from './reconcile-frozen.ts'
import { withSettling } from './settling.ts'
import { formatTable } from './table.ts'

export const reconcileHelp = `Usage: holdfast reconcile [--since TIME] [--restored] [--write-off CELL]…
                          [--database-url URL | --data DIR] [--json]

Compares the payments of a cell's orders with what their providers hold, both ways. An order that does not know what its
provider says is told; what nobody has answered is asked after by the running server. Payments of the last minute are left
alone. Exit code 1 when differences are left. Providers are those of holdfast start, by the same variables.

A cell that may have gone back to an earlier state is frozen: it sells nothing. Running, it takes over what the other cells remember
of units that went between them; this waits for that, compares the payments, and lets it sell again. Charges of orders that it
does not know any more are named: give that money back at the provider, or place the orders again. It stays frozen, and the exit
code is 1, when a cell does not answer.

  --restored          the database was put back from a backup, or is a standby that was behind: freezes the cell first
  --write-off CELL    a cell that is gone for good, whose totals nobody can tell; several times for several
  --since TIME        only orders made since then, and not every charge of the providers; RFC 3339
${databaseHelp}
  --json              the last line of standard output is one JSON object`

export async function reconcile(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      ...databaseOptions,
      since: { type: 'string' },
      restored: { type: 'boolean', default: false },
      'write-off': { type: 'string', multiple: true, default: [] },
      json: { type: 'boolean', default: false },
    },
  })
  const since = values.since === undefined ? null : parseRfc3339(values.since)
  if (since === undefined) throw usage('--since is a time such as 2026-01-31T00:00:00Z.')
  const cell = values.cells ?? 'eu1'
  if (!isCellName(cell)) throw usage('--cells names one cell, such as eu1.')
  const config = readConfig([], process.env)
  const writtenOff = writtenOffOf(values['write-off'])
  const { frozen, report } = await withDatabase(values, async (database) => {
    const frozen = await compareFrozen(database, { cell, isRestored: values.restored, writtenOff })
    if (frozen && since !== null) throw usage('A frozen cell is compared whole: leave out --since.')
    if (frozen && frozen.missing.length > 0) return { frozen, report: undefined }
    const report = await ofDatabase(database, { cell, config, since })
    if (frozen) await thaw(database)
    return { frozen, report }
  })
  if (frozen) console.log(frozenText(frozen, cell))
  if (report) print(report, cell)
  if (values.json)
    console.log(JSON.stringify({ ...(report ? wire(report, cell) : {}), frozen: frozen && frozenJson(frozen) }))
  return report?.differenceCount === 0 ? 0 : 1
}

function frozenText({ missing, compared }: FrozenReport, cell: CellName): string {
  if (missing.length === 0)
    return `Totals were compared with ${compared.join(', ') || 'nobody'}: ${cell} sells again.\n`
  return `${cell} stays frozen: ${missing.join(', ')} did not answer. Let both run, or name what is gone for good with --write-off.\n`
}

const frozenJson = ({ why, compared, writtenOff, missing }: FrozenReport) => ({
  ...{ why, compared, written_off: writtenOff, missing, thawed: missing.length === 0 },
})

type Options = { cell: CellName; config: Config; since: Instant | null }

async function ofDatabase(database: Database, { cell, config, since }: Options): Promise<ReconcileReport> {
  const shop = await openShop(database, cell)
  return withSettling(database, cell, async (submit) => {
    const providers = openProviders({ cell, database, config, clock: systemClock, faults: noFaults() })
    const parts = partsOf(database, providers.byName, submit)
    const before = addMs(systemClock.now(), -limits.reconcileQuietMs)
    const report = emptyReport()
    await reconcileOrders(
      parts,
      shop.id,
      { span: { after: since, before }, ordersMax: Number.MAX_SAFE_INTEGER },
      report,
    )
    if (since === null) await reconcileCharges(parts, shop.id, before, report)
    return report
  })
}

function partsOf(
  database: Database,
  providers: ReadonlyMap<string, Provider>,
  submit: (command: Settle) => Promise<CommandOutcome>,
): ReconcileParts {
  return {
    database,
    providers,
    submit,
    readOrder: createOrderReader(database),
    readOrders: readOrdersOfSpan(database),
  }
}

const wire = ({ differenceCount, differences, ...counts }: ReconcileReport, cell: CellName) => ({
  ...counts,
  differences: differenceCount,
  first: differences.map(({ kind, provider, orderId, paymentId, ours, theirs }) => ({
    kind,
    provider,
    order_id: toWireId('ord', cell, orderId),
    payment_id: toWireId('pay', cell, paymentId),
    ours,
    theirs,
  })),
})

function print(report: ReconcileReport, cell: CellName): void {
  const { orders, payments, charges, told, asked, differenceCount } = report
  const counts = [
    ['Orders', orders],
    ['Payments compared', payments],
    ['Charges compared', charges],
    ['Orders told', told],
    ['Asked after', asked],
    ['Differences left', differenceCount],
  ] as const
  const heads = [{ head: 'Reconciled' }, { head: '', align: 'right' as const }]
  console.log(
    formatTable(
      heads,
      counts.map(([name, count]) => [name, count.toLocaleString('en')]),
    ),
  )
  if (differenceCount === 0) return
  const rows = wire(report, cell).first.map((one) => [
    one.kind,
    one.provider,
    one.order_id,
    one.ours ?? '',
    one.theirs ?? '',
  ])
  console.log(
    `\n${formatTable(
      ['Difference', 'Provider', 'Order', 'Ours', 'Theirs'].map((head) => ({ head })),
      rows,
    )}`,
  )
}
