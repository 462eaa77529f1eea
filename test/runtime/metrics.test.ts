// What is declared is what is scraped, under names that Prometheus' conventions allow.
import { describe, expect, test } from 'vitest'
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
})

describe('who scrapes', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const both = () => {
    const metrics = openMetrics({ fixed: { cell: 'eu1' } })
    metrics.counter('holdfast_commands_total', 'Commands.', ['outcome']).inc({ outcome: 'accepted' }, 3)
    const seconds = metrics.tracedHistogram('holdfast_http_seconds', 'Time.', [0.1, 1], ['route'])
    seconds.series({ route: '/v1/orders' }).observe(0.25, traceId)
    seconds.series({ route: '/v1/orders' }).observe(0.05, null)
    return metrics
  }

  test.each([
    undefined,
    '',
    '*/*',
    'text/plain',
    'application/openmetrics-text;q=0, */*',
    'application/openmetrics',
    ',;,',
  ])('and accepts %j is answered in the text format, as often as he asks', async (accept) => {
    const metrics = both()
    await metrics.scrape('application/openmetrics-text')
    const { text, contentType } = await metrics.scrape(accept)
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(text).toBe(await both().text())
    expect(text).toContain('# HELP holdfast_commands_total Commands.\n# TYPE holdfast_commands_total counter\n')
    expect(text).toContain('holdfast_commands_total{outcome="accepted",cell="eu1"} 3\n')
    expect(text).toContain('holdfast_http_seconds_bucket{le="1",cell="eu1",route="/v1/orders"} 2\n')
    expect(text).not.toMatch(/EOF|trace_id|_total_total/)
  })

  test.each(['application/openmetrics-text', 'Application/OpenMetrics-Text; version=1.0.0;q=0.5,text/plain;q=0.2'])(
    'and accepts %j gets OpenMetrics, with the trace in its bucket',
    async (accept) => {
      const metrics = both()
      await metrics.scrape()
      const { text, contentType } = await metrics.scrape(accept)
      expect(contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
      expect(text).toContain(
        '# TYPE holdfast_commands counter\nholdfast_commands_total{outcome="accepted",cell="eu1"} 3\n',
      )
      const bucket = 'holdfast_http_seconds_bucket{le="1",cell="eu1",route="/v1/orders"} 2 # '
      expect(text).toContain(`${bucket}{trace_id="${traceId}"} 0.25 `)
      expect(text).toMatch(/^holdfast_http_seconds_bucket\{le="0.1".* 1$/m)
      expect(text.endsWith('\n# EOF\n')).toBe(true)
    },
  )
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
