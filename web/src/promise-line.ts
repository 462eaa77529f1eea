// The promise of Holdfast as arithmetic on the audits of all cells: every unit that came in is on hand, on its way between two
// cells, or shipped. Each cell's audit is exact at its own moment; units that moved between two audits show as on their way.

export type AuditSums = {
  received: number
  returned: number
  corrections: number
  /** Got from other cells, less what was sent to them. */
  transferred: number
  on_hand: number
  /** Sold and not shipped, on hand or on allowance. */
  committed: number
  shipped: number
}

export type CellAudit = {
  consistent: boolean
  checked_at: string
  sums: AuditSums
  differences: number
  oversold: number
  lost: number
  doubled: number
}

export type PromiseLine = {
  received: number
  returned: number
  corrections: number
  onHand: number
  /** In no side of the equation. */
  sold: number
  inFlight: number
  shipped: number
  oversold: number
  lost: number
  doubled: number
  differences: number
  /** The two sides are equal, and every audit says that nothing is oversold, lost or doubled. */
  holds: boolean
  /** Of the oldest and the newest audit, in ms since 1970. */
  oldest: number
  newest: number
  /** Whose audit is not known, so that their units are in none of the sums. */
  missing: string[]
}

/** Null while no cell has told of an audit. */
export function promiseLine(audits: readonly { cell: string; audit: CellAudit | null }[]): PromiseLine | null {
  const known = audits.flatMap(({ audit }) => (audit ? [audit] : []))
  if (known.length === 0) return null
  const sum = (of: (audit: CellAudit) => number): number => known.reduce((total, audit) => total + of(audit), 0)
  const line = {
    received: sum(({ sums }) => sums.received),
    returned: sum(({ sums }) => sums.returned),
    corrections: sum(({ sums }) => sums.corrections),
    onHand: sum(({ sums }) => sums.on_hand),
    sold: sum(({ sums }) => sums.committed),
    inFlight: 0 - sum(({ sums }) => sums.transferred),
    shipped: sum(({ sums }) => sums.shipped),
    oversold: sum(({ oversold }) => oversold),
    lost: sum(({ lost }) => lost),
    doubled: sum(({ doubled }) => doubled),
    differences: sum(({ differences }) => differences),
  }
  const isEqual = line.received + line.returned + line.corrections === line.onHand + line.inFlight + line.shipped
  const isClean = line.oversold === 0 && line.lost === 0 && line.doubled === 0 && line.differences === 0
  const at = known.map(({ checked_at }) => Date.parse(checked_at))
  return {
    ...line,
    holds: isEqual && isClean && known.every(({ consistent }) => consistent),
    oldest: Math.min(...at),
    newest: Math.max(...at),
    missing: audits.filter(({ audit }) => audit === null).map(({ cell }) => cell),
  }
}
