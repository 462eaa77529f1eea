// What is declared is what is scraped, under names that Prometheus' conventions allow.
import { expect, test } from 'vitest'
import { openMetrics, secondsBuckets } from '../../src/runtime/metrics.ts'

test('declared metrics are scraped with their labels and the fixed ones', async () => {
  const metrics = openMetrics({ fixed: { cell: 'eu1' } })
  metrics.counter('holdfast_commands_total', 'Commands by outcome.', ['outcome']).inc({ outcome: 'accepted' }, 3)
  metrics.gauge('holdfast_queue_rows', 'Rows waiting.').set(7)
  metrics.histogram('holdfast_batch_seconds', 'Time of a batch.', secondsBuckets).observe(0.004)
  let lag = 1
  metrics.gaugeOf('holdfast_log_lag_events', 'Events not yet read.', () => lag)
  lag = 2
  const text = await metrics.text()
  expect(text).toContain('holdfast_commands_total{outcome="accepted",cell="eu1"} 3')
  expect(text).toContain('holdfast_queue_rows{cell="eu1"} 7')
  expect(text).toContain('holdfast_batch_seconds_bucket{le="0.005",cell="eu1"} 1')
  expect(text).toContain('holdfast_log_lag_events{cell="eu1"} 2')
  expect(text).not.toContain('process_cpu')
  expect(metrics.contentType).toContain('text/plain')
})

test('two registries in one process do not share anything', async () => {
  const [one, other] = [openMetrics(), openMetrics()]
  one.counter('holdfast_x_total', 'X.').inc()
  other.counter('holdfast_x_total', 'X.')
  expect(await other.text()).toContain('holdfast_x_total 0')
})

test('the process’s own metrics are there when asked for', async () => {
  expect(await openMetrics({ process: true }).text()).toContain('nodejs_eventloop_lag_seconds')
})

test.each([
  ['a counter without _total', () => openMetrics().counter('holdfast_commands', 'x')],
  ['a gauge with _total', () => openMetrics().gauge('holdfast_rows_total', 'x')],
  ['milliseconds', () => openMetrics().histogram('holdfast_batch_ms', 'x', [1])],
  ['a histogram without a unit', () => openMetrics().histogram('holdfast_batch', 'x', [1])],
  ['a foreign prefix', () => openMetrics().counter('commands_total', 'x')],
])('refuses %s', (_, declare) => {
  expect(declare).toThrow()
})
