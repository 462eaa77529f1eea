// The two audits of a cell: that every unit is somewhere, and that what its ledger says of money is what the providers say.
import type { AuditWatch } from './cell-objectives.ts'
import type { ConfiguredProviders } from './cell-payments.ts'
import type { HealthOptions } from './gateway/health.ts'
import type { MoneyAudit } from './modules/ledger/audit.ts'
import { type LedgerOptions, startLedger } from './modules/ledger/start.ts'
import { readTestCharges, readUnderWay } from './modules/payments/sums.ts'
import { type AuditDeps, type Auditor, createAuditor } from './modules/stock/audit.ts'
import type { Latest } from './runtime/latest.ts'
import type { LogReader } from './runtime/logreader.ts'

export type CellAudits = { units: Auditor; money: Latest<MoneyAudit>; both: HealthOptions['audit'] }

type AuditsOptions = Pick<LedgerOptions, 'database' | 'bus' | 'clock' | 'metrics'> &
  Pick<AuditDeps, 'confirmed'> & {
    reader: Pick<LogReader, 'horizon'>
    providers: ConfiguredProviders
    watch: AuditWatch
  }

/** The ledger begins to read here; it ends with the bus. */
export function startAudits(asked: AuditsOptions): CellAudits {
  const { database, clock, reader, watch, providers } = asked
  const options = { ...asked, settledSeq: async () => reader.horizon }
  const units = createAuditor({ ...options, now: clock.now }, watch('units'))
  const { audit: money } = startLedger({
    ...options,
    providers: providers.testProvider ? [{ name: 'test', sums: () => readTestCharges(database) }] : [],
    underWay: () => readUnderWay(database),
    watchAudit: watch('money'),
  })
  return {
    units,
    money,
    async both(wanted) {
      const results = await Promise.all([units.result(wanted), money.result(wanted)])
      return { units: results[0], money: results[1] }
    },
  }
}
