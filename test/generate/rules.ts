// deploy/observability/prometheus/rules.yml: for each objective the share of events that were not good over each window, and an alert
// for each speed at which its budget is spent; then the symptoms. Texts are JSON strings, which YAML takes as they are.
import {
  burns,
  type Objective,
  objectives,
  type Severity,
  symptoms,
  windowDays,
} from '../../deploy/observability/objectives.ts'

type Rule = { record: string; expr: string } | Alert
type Alert = { alert: string; expr: string; for: string; severity: Severity; summary: string }

const windows = [...new Set(burns.flatMap(({ long, short }) => [short, long]))]
const recordOf = (window: string): string => `holdfast:objective_errors:ratio_rate${window}`

export function rulesText(): string {
  const recorded = [...windows, `${windowDays}d`].map((window) => ({
    record: recordOf(window),
    expr: errorRatio(window),
  }))
  return [
    '# Made by `npm run generate` from deploy/observability/objectives.ts.',
    'groups:',
    ...group('holdfast-objectives', recorded),
    ...group('holdfast-burn-rates', objectives.flatMap(burnAlerts)),
    ...group('holdfast-symptoms', symptoms),
    '',
  ].join('\n')
}

/** Of each objective and cell; nothing where nothing happened, since 0 of 0 is neither good nor bad. */
const errorRatio = (window: string): string =>
  `1 - sum by (cell, objective) (rate(holdfast_objective_good_total[${window}])) / (sum by (cell, objective) (rate(holdfast_objective_events_total[${window}])) > 0)`

/** Without what binary fractions leave of 1 − 0.999. */
const budgetOf = (target: number): number => Number((1 - target).toPrecision(6))

/** One alert a severity: whichever of its pairs of windows finds the budget spent so fast. */
function burnAlerts({ name, alert, target, summary }: Objective): Alert[] {
  return (['page', 'ticket'] as const).map((severity) => {
    const pairs = burns
      .filter((burn) => burn.severity === severity)
      .map(({ factor, long, short }) => {
        const over = (window: string) => `${recordOf(window)}{objective="${name}"} > ${factor} * ${budgetOf(target)}`
        return `(${over(long)} and ${over(short)})`
      })
    return { alert, severity, expr: pairs.join(' or '), for: severity === 'page' ? '2m' : '15m', summary }
  })
}

const group = (name: string, rules: readonly Rule[]): string[] => [
  `  - name: ${name}`,
  '    rules:',
  ...rules.flatMap((rule) => ('record' in rule ? recordLines(rule) : alertLines(rule))),
]

const recordLines = ({ record, expr }: { record: string; expr: string }): string[] => [
  `      - record: ${record}`,
  `        expr: ${JSON.stringify(expr)}`,
]

const alertLines = ({ alert, expr, for: pending, severity, summary }: Alert): string[] => [
  `      - alert: ${alert}`,
  `        expr: ${JSON.stringify(expr)}`,
  `        for: ${pending}`,
  '        labels:',
  `          severity: ${severity}`,
  '        annotations:',
  `          summary: ${JSON.stringify(summary)}`,
  `          runbook_url: ${JSON.stringify(`{{ $externalLabels.runbooks }}/${alert}.md`)}`,
]
