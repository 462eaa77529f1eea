// deploy/observability/grafana/*.json: what is looked at when an alert has come. The numbers are those of the rules; no panel has a
// colour or a bound of its own that they do not have.
import { objectives, windowDays } from '../../deploy/observability/objectives.ts'

type Panel = {
  title: string
  unit: string
  targets: { expr: string; legend: string }[]
  min?: number
  max?: number
  traces?: true
}
type Dashboard = { uid: string; title: string; panels: Panel[] }

const ofCells = 'cell=~"$cell"'
const rate = (metric: string, by: string, where = ofCells): string =>
  `sum by (${by}) (rate(${metric}{${where}}[$__rate_interval]))`
const quantile = (share: number, metric: string, by: string): string =>
  `histogram_quantile(${share}, ${rate(`${metric}_bucket`, `le, ${by}`)})`
const one = (title: string, unit: string, expr: string, legend: string): Panel => ({
  title,
  unit,
  targets: [{ expr, legend }],
})
/** With dots for requests whose traces are kept. */
const traced = (panel: Panel): Panel => ({ ...panel, traces: true })
const share = (panel: Panel): Panel => ({ ...panel, min: 0, max: 1 })

const objectivePanels: Panel[] = objectives.flatMap(({ name, title, target }) => [
  share(
    one(
      `${title}: budget left of ${windowDays} days`,
      'percentunit',
      `1 - holdfast:objective_errors:ratio_rate${windowDays}d{objective="${name}",${ofCells}} / ${Number((1 - target).toPrecision(6))}`,
      '{{cell}}',
    ),
  ),
  {
    title: `${title}: not good`,
    unit: 'percentunit',
    targets: ['5m', '1h', '6h'].map((window) => ({
      expr: `holdfast:objective_errors:ratio_rate${window}{objective="${name}",${ofCells}}`,
      legend: `{{cell}} ${window}`,
    })),
  },
])

const cellPanels: Panel[] = [
  one('Answers by status', 'reqps', rate('holdfast_http_answers_total', 'cell, status'), '{{cell}} {{status}}'),
  one('Answers by route', 'reqps', rate('holdfast_http_answers_total', 'method, route'), '{{method}} {{route}}'),
  traced(
    one(
      'Time of an answer, p99',
      's',
      quantile(0.99, 'holdfast_http_seconds', 'method, route'),
      '{{method}} {{route}}',
    ),
  ),
  one('Refused at the door', 'reqps', rate('holdfast_http_refused_total', 'cell, code'), '{{cell}} {{code}}'),
  one('Rows in the queue', 'short', `holdfast_queue_rows{${ofCells}}`, '{{cell}}'),
  one('Time of a batch, p99', 's', quantile(0.99, 'holdfast_batch_seconds', 'cell'), '{{cell}}'),
  one('Commands', 'cps', rate('holdfast_commands_total', 'cell'), '{{cell}}'),
  one('Batches run again', 'cps', rate('holdfast_batch_reruns_total', 'cell, why'), '{{cell}} {{why}}'),
  one('Event loop, p99', 's', `nodejs_eventloop_lag_p99_seconds{${ofCells}}`, '{{cell}}'),
  one('Memory', 'bytes', `process_resident_memory_bytes{${ofCells}}`, '{{cell}}'),
  one('Disk free', 'bytes', `holdfast_disk_free_bytes{${ofCells}}`, '{{cell}}'),
  one('Time of an audit, p99', 's', quantile(0.99, 'holdfast_audit_seconds', 'cell, of'), '{{cell}} {{of}}'),
]

const workPanels: Panel[] = [
  one('Consumers behind', 's', `holdfast_consumer_lag_seconds{${ofCells}}`, '{{cell}} {{consumer}}'),
  one('Events still to read', 'short', `holdfast_consumer_lag_events{${ofCells}}`, '{{cell}} {{consumer}}'),
  one('Events that stand aside', 'short', `holdfast_consumer_dead_letters{${ofCells}}`, '{{cell}} {{consumer}}'),
  one('Events applied', 'cps', rate('holdfast_events_applied_total', 'cell, consumer'), '{{cell}} {{consumer}}'),
  one(
    'Transactions of consumers that failed',
    'cps',
    rate('holdfast_consumer_failures_total', 'cell, consumer'),
    '{{cell}} {{consumer}}',
  ),
  one(
    'Time of a transaction of a consumer, p99',
    's',
    quantile(0.99, 'holdfast_consumer_seconds', 'consumer'),
    '{{consumer}}',
  ),
  one('Time to confirmation, p99', 's', quantile(0.99, 'holdfast_confirmation_seconds', 'cell'), '{{cell}}'),
  one(
    'Calls to providers',
    'cps',
    rate('holdfast_payment_calls_total', 'provider, call, outcome'),
    '{{provider}} {{call}} {{outcome}}',
  ),
  one('Time of a call, p99', 's', quantile(0.99, 'holdfast_payment_call_seconds', 'provider'), '{{provider}}'),
  one('Operations of payments', 'short', `holdfast_payment_operations{${ofCells}}`, '{{cell}} {{state}}'),
  one('Webhooks sent', 'cps', rate('holdfast_webhook_attempts_total', 'cell, outcome'), '{{cell}} {{outcome}}'),
  one('Time of a webhook, p99', 's', quantile(0.99, 'holdfast_webhook_seconds', 'cell'), '{{cell}}'),
  one('Webhooks tried no more', 'short', `holdfast_webhook_dead_deliveries{${ofCells}}`, '{{cell}}'),
  one(
    'Events passed over, applied before',
    'cps',
    rate('holdfast_events_repeated_total', 'cell, consumer'),
    '{{cell}} {{consumer}}',
  ),
  one('Units not confirmed', 's', `holdfast_peer_unconfirmed_seconds{${ofCells}}`, '{{cell}} to {{peer}}'),
  share(one('Peers up', 'short', `holdfast_peer_up{${ofCells}}`, '{{cell}} to {{peer}}')),
  one('Round trip', 's', `holdfast_peer_round_trip_seconds{${ofCells}}`, '{{cell}} to {{peer}}'),
  one('Clock of a peer ahead', 's', `holdfast_peer_clock_skew_seconds{${ofCells}}`, '{{cell}} to {{peer}}'),
  one(
    'Calls without success',
    'cps',
    rate('holdfast_peer_failures_total', 'cell, peer, message'),
    '{{cell}} to {{peer}} {{message}}',
  ),
]

const all: Dashboard[] = [
  { uid: 'holdfast-objectives', title: 'Holdfast: objectives', panels: objectivePanels },
  { uid: 'holdfast-cell', title: 'Holdfast: a cell', panels: cellPanels },
  { uid: 'holdfast-work', title: 'Holdfast: consumers, payments, peers', panels: workPanels },
]

export function dashboards(): { path: string; text: string }[] {
  return all.map((dashboard) => ({
    path: `deploy/observability/grafana/${dashboard.uid.replace('holdfast-', '')}.json`,
    text: `${JSON.stringify(dashboardJson(dashboard), null, 2)}\n`,
  }))
}

const dashboardJson = ({ uid, title, panels }: Dashboard) => ({
  uid,
  title,
  schemaVersion: 39,
  editable: false,
  refresh: '30s',
  time: { from: 'now-3h', to: 'now' },
  templating: {
    list: [
      { name: 'source', type: 'datasource', query: 'prometheus' },
      {
        name: 'cell',
        type: 'query',
        datasource: { type: 'prometheus', uid: '$source' },
        query: { query: 'label_values(holdfast_objective_events_total, cell)', refId: 'cells' },
        refresh: 2,
        multi: true,
        includeAll: true,
        allValue: '.*',
        current: { text: 'All', value: '$__all' },
      },
    ],
  },
  panels: panels.map(panelJson),
})

const [panelWidth, panelHeight, perRow] = [12, 8, 2] // of Grafana's 24 columns

const panelJson = ({ title, unit, targets, min, max, traces }: Panel, at: number) => ({
  id: at + 1,
  type: 'timeseries',
  title,
  datasource: { type: 'prometheus', uid: '$source' },
  gridPos: {
    x: (at % perRow) * panelWidth,
    y: Math.floor(at / perRow) * panelHeight,
    w: panelWidth,
    h: panelHeight,
  },
  fieldConfig: { defaults: { unit, ...(min === undefined ? {} : { min, max }) }, overrides: [] },
  targets: targets.map(({ expr, legend }, index) => ({
    refId: String.fromCharCode(65 + index),
    expr,
    legendFormat: legend,
    ...(traces && { exemplar: true }),
  })),
})
