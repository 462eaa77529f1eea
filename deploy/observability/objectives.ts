// What Holdfast promises of itself, and what somebody is woken for. From here `npm run generate` makes Prometheus' recording rules
// and alerts and Grafana's dashboards, and GET /v1/objectives tells the same; nothing of it is written twice.

export type ObjectiveName = 'order_acceptance' | 'confirmation_time' | 'event_lag' | 'cell_reachability' | 'audit'

export type Objective = {
  name: ObjectiveName
  /** Names its runbook too. */
  alert: string
  title: string
  /** What is counted, and what of it is good. */
  description: string
  /** The share that is to be good. */
  target: number
  /** What the buyer or the operator has of it while it burns. */
  summary: string
}

/** Over which the targets hold. */
export const windowDays = 30

/** Each counts events of its own kind by `holdfast_objective_events_total` and the good of them by `holdfast_objective_good_total`. */
export const objectives: readonly Objective[] = [
  {
    name: 'order_acceptance',
    alert: 'HoldfastOrderAcceptance',
    title: 'Orders are taken',
    description:
      'Requests to place an order; good are all that are answered by an order or by a reason of the order’s own, not by 5xx.',
    target: 0.999,
    summary: 'Orders are answered with 5xx: buyers are turned away though there are units.',
  },
  {
    name: 'confirmation_time',
    alert: 'HoldfastConfirmationTime',
    title: 'Orders are confirmed soon',
    description:
      'Attempts to pay; good are those whose order is confirmed, refused by the provider or handed back to its buyer within 5 s.',
    target: 0.99,
    summary: 'Buyers wait for more than 5 s to hear whether their order is confirmed.',
  },
  {
    name: 'event_lag',
    alert: 'HoldfastEventLag',
    title: 'Events are soon known',
    description:
      'Looks at each consumer of the log, and at what is known of each cell that is reached, one every 5 s; good are those that find it at most 10 s behind.',
    target: 0.99,
    summary: 'Payments, the ledger, webhooks or other cells hear late of what has happened.',
  },
  {
    name: 'cell_reachability',
    alert: 'HoldfastCellReachability',
    title: 'Cells reach each other',
    description: 'Looks at each other cell, one every 5 s; good are those that find it reachable.',
    target: 0.999,
    summary: 'A cell does not reach another: what lives there is 503 here, and no units come from it.',
  },
  {
    name: 'audit',
    alert: 'HoldfastAudit',
    title: 'Counters are what the log says',
    description: 'Audits of units and of money; good are those that ended and found no difference.',
    target: 0.999,
    summary: 'Audits fail or find differences: whether the promises hold is not known, or they do not.',
  },
]

export type Severity = 'page' | 'ticket'

/** How fast the budget is spent when somebody is told: SRE Workbook, chapter 5, table 5-8. The short window ends the alert soon. */
export const burns: readonly { severity: Severity; factor: number; long: string; short: string }[] = [
  { severity: 'page', factor: 14.4, long: '1h', short: '5m' },
  { severity: 'page', factor: 6, long: '6h', short: '30m' },
  { severity: 'ticket', factor: 3, long: '1d', short: '2h' },
  { severity: 'ticket', factor: 1, long: '3d', short: '6h' },
]

export type Symptom = { alert: string; severity: Severity; expr: string; for: string; summary: string }

/** What is wrong whatever the budgets say. */
export const symptoms: readonly Symptom[] = [
  {
    alert: 'HoldfastCellDown',
    severity: 'page',
    expr: 'up{job="holdfast"} == 0',
    for: '1m',
    summary: 'A cell’s process does not answer: its orders are out of reach, other cells sell what they have.',
  },
  {
    alert: 'HoldfastAuditInconsistent',
    severity: 'page',
    expr: 'holdfast_audit_differences > 0',
    for: '0m',
    summary: 'An audit found counters that differ from the log.',
  },
  {
    alert: 'HoldfastAuditStale',
    severity: 'ticket',
    expr: 'time() - holdfast_audit_ended_timestamp_seconds > 600',
    for: '0m',
    summary: 'No audit has ended for 10 minutes: nobody knows whether the counters are right.',
  },
  {
    alert: 'HoldfastCellFrozen',
    severity: 'page',
    expr: 'holdfast_frozen == 1',
    for: '1m',
    summary: 'A cell may have gone back in time and sells nothing until it is reconciled.',
  },
  {
    alert: 'HoldfastCellIsolated',
    severity: 'page',
    expr: 'holdfast_isolated == 1',
    for: '1m',
    summary: 'A cell hears no other and, as it was told, sells nothing.',
  },
  {
    alert: 'HoldfastGateShut',
    severity: 'page',
    expr: 'holdfast_gate_shut == 1',
    for: '1m',
    summary: 'The standby of a geo cell is out of reach: the cell takes nothing.',
  },
  {
    alert: 'HoldfastClaimedTwice',
    severity: 'page',
    expr: 'increase(holdfast_cells_claimed_twice_total[10m]) > 0',
    for: '0m',
    summary: 'Two databases claim to be one cell.',
  },
  {
    alert: 'HoldfastClockSkew',
    severity: 'ticket',
    expr: 'abs(holdfast_peer_clock_skew_seconds) > 10',
    for: '5m',
    summary: 'The clocks of two cells differ by more than 10 s; at 60 s they refuse each other.',
  },
  {
    alert: 'HoldfastOverloaded',
    severity: 'ticket',
    expr: 'sum by (cell) (rate(holdfast_http_refused_total{code="overloaded"}[5m])) > 1',
    for: '5m',
    summary: 'A cell refuses requests since its queue is full.',
  },
  {
    alert: 'HoldfastDeadLetters',
    severity: 'ticket',
    expr: 'sum by (cell) (holdfast_consumer_dead_letters) > 0 or holdfast_payment_operations{state="dead"} > 0 or holdfast_webhook_dead_deliveries > 0',
    for: '5m',
    summary: 'Something was given up and waits for somebody.',
  },
  {
    alert: 'HoldfastConsumerPaused',
    severity: 'ticket',
    expr: 'holdfast_consumer_paused == 1',
    for: '15m',
    summary: 'A consumer of the log is paused by hand: what it does is not done, and the log grows.',
  },
  {
    alert: 'HoldfastProviderUnreachable',
    severity: 'page',
    expr: 'holdfast_payment_breaker_open == 1',
    for: '2m',
    summary: 'A payment provider fails so often that it is not called: paid orders wait.',
  },
  {
    alert: 'HoldfastDiskFilling',
    severity: 'page',
    expr: 'holdfast_disk_free_bytes / holdfast_disk_size_bytes < 0.1',
    for: '5m',
    summary: 'The disk of a cell’s database is nine tenths full; when it is full the cell stops.',
  },
]
