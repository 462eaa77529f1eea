// The process's metrics, in one registry that is made once. Names follow Prometheus: the prefix `holdfast_`, base units
// (seconds, bytes), `_total` for counters; a name that does not is refused where it is declared.
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type LabelValues,
  type OpenMetricsContentType,
  Registry,
} from 'prom-client'
import { assert } from '../base/assert.ts'

export type Labelled<L extends string> = { labels: Record<L, string>; value: number }

/** `traceId`: null for what is not sampled. */
export type TracedSeries = { observe(value: number, traceId: string | null): void }

export type Metrics = {
  counter<L extends string = never>(name: string, help: string, labels?: readonly L[]): Counter<L>
  gauge<L extends string = never>(name: string, help: string, labels?: readonly L[]): Gauge<L>
  /** A gauge that is asked for its value when it is scraped. */
  gaugeOf(name: string, help: string, read: () => number): void
  /** Likewise, one value for each set of labels. */
  gaugesOf<L extends string>(name: string, help: string, labels: readonly L[], read: () => Labelled<L>[]): void
  histogram<L extends string = never>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly L[],
  ): Histogram<L>
  /** Its buckets name a trace that fell into them, where there was one. */
  tracedHistogram<L extends string>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels: readonly L[],
  ): { series(labels: Record<L, string>): TracedSeries }
  /** What GET /metrics answers to who accepts that: OpenMetrics, with exemplars, or the text format that everybody reads. */
  scrape(accept?: string): Promise<{ text: string; contentType: string }>
  /** The text format. */
  text(): Promise<string>
}

/** Upper bounds in seconds for the time of a request or a batch. */
export const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

/** Likewise for how many are done at once. */
export const sizeBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000] as const

/** `fixed` labels stand on every series, like the cell's name. With `process`, Node's own metrics are collected too. */
export function openMetrics(options: { fixed?: Record<string, string>; process?: boolean } = {}): Metrics {
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(openMetricsType) // for ever: it renames its counters when it writes OpenMetrics
  if (options.fixed) registry.setDefaultLabels(options.fixed)
  if (options.process) collectDefaultMetrics({ register: registry })
  const registers = [registry]

  return {
    counter: (name, help, labels = []) => {
      checkName(name)
      assert(name.endsWith('_total'), `the counter ${name} must end in _total`)
      return new Counter({ name, help, labelNames: labels, registers })
    },
    gauge: (name, help, labels = []) => {
      checkGauge(name)
      return new Gauge({ name, help, labelNames: labels, registers })
    },
    gaugeOf: (name, help, read) => {
      checkGauge(name)
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read())
        },
      })
    },
    gaugesOf: (name, help, labels, read) => {
      checkGauge(name)
      new Gauge({
        name,
        help,
        labelNames: labels,
        registers,
        collect() {
          this.reset()
          for (const one of read()) this.set(one.labels, one.value)
        },
      })
    },
    histogram: (name, help, buckets, labels = []) => {
      checkHistogram(name)
      return new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers })
    },
    tracedHistogram: (name, help, buckets, labels) => {
      checkHistogram(name)
      const histogram = new Histogram({
        name,
        help,
        labelNames: labels,
        buckets: [...buckets],
        registers,
        enableExemplars: true,
      })
      return {
        series: (of) => ({
          observe(value, traceId) {
            const exemplarLabels: LabelValues<string> = traceId === null ? {} : { trace_id: traceId }
            histogram.observe({ labels: of, value, exemplarLabels })
          },
        }),
      }
    },
    async scrape(accept = '') {
      const text = await registry.metrics()
      return acceptsOpenMetrics(accept)
        ? { text, contentType: openMetricsType }
        : { text: plainText(text), contentType: Registry.PROMETHEUS_CONTENT_TYPE }
    },
    text: async () => plainText(await registry.metrics()),
  }
}

const openMetricsType = Registry.OPENMETRICS_CONTENT_TYPE

/** RFC 9110, 12.5.1. Who takes both gets it, as scrapers that know it want. */
const acceptsOpenMetrics = (accept: string): boolean =>
  accept.split(',').some((part) => {
    const [type, ...parameters] = part.split(';').map((one) => one.trim().toLowerCase())
    return type === 'application/openmetrics-text' && !parameters.some((one) => /^q=0(?:\.0*)?$/.test(one))
  })

/**
 * The text format 0.0.4 of what is in OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/): there a counter is
 * declared without its `_total`, lines may end in an exemplar, and the last one says that it is the last.
 */
function plainText(openMetrics: string): string {
  const counters = new Set([...openMetrics.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name))
  return openMetrics
    .replace(/^# (HELP|TYPE) (\S+)/gm, (line, what, name) => (counters.has(name) ? `# ${what} ${name}_total` : line))
    .replace(/ # \{[^}]*\} \S+ \S+$/gm, '')
    .replace(/^# EOF\n/m, '')
}

function checkName(name: string): void {
  assert(/^holdfast_[a-z][a-z0-9_]*$/.test(name), `the metric ${name} must be snake_case and begin with holdfast_`)
  assert(!/_(ms|milliseconds|kib|mib)(_|$)/.test(name), `the metric ${name} must be in base units`)
}

function checkHistogram(name: string): void {
  checkName(name)
  assert(/_(seconds|bytes|rows|commands|events)$/.test(name), `the histogram ${name} must end in its unit`)
}

function checkGauge(name: string): void {
  checkName(name)
  assert(!name.endsWith('_total'), `the gauge ${name} must not end in _total`)
}
