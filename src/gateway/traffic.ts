// What passes through the gateway, counted. Series are looked up once and kept, since every answer is counted.
import type { Exchange } from '../runtime/http.ts'
import { type Metrics, secondsBuckets, type TracedSeries } from '../runtime/metrics.ts'
import type { PulseMeter } from '../runtime/pulse.ts'
import type { ObjectiveCounts } from './objectives.ts'

export type Traffic = {
  onAnswer: Exchange['onAnswer']
  /** At the door, before anything was read. */
  onRefused(code: 'overloaded' | 'draining', isPlacing: boolean): void
}

type Series = { statuses: { inc(): void }[]; seconds: TracedSeries }

export type TrafficOptions = {
  metrics: Metrics
  elapsedMs(): number
  meter: Pick<PulseMeter, 'answered'>
  objectives: Pick<ObjectiveCounts, 'count'>
}

export function countTraffic({ metrics, elapsedMs, meter, objectives }: TrafficOptions): Traffic {
  const labels = ['method', 'route'] as const
  const told = 'Answers, by method, route and status; no route: none of ours'
  const answers = metrics.counter('holdfast_http_answers_total', told, [...labels, 'status'])
  const seconds = metrics.tracedHistogram(
    'holdfast_http_seconds',
    'From the guard to the answer',
    secondsBuckets,
    labels,
  )
  const refusals = metrics.counter('holdfast_http_refused_total', 'Refused before the body was read', ['code'])
  const byRoute = new Map<string, Map<string, Series>>()

  function seriesOf(method: string, route: string): Series {
    const found = byRoute.get(route)?.get(method)
    if (found) return found
    const made = { statuses: [], seconds: seconds.series({ method, route }) }
    const byMethod = byRoute.get(route) ?? new Map<string, Series>()
    byMethod.set(method, made)
    byRoute.set(route, byMethod)
    return made
  }

  return {
    onAnswer({ method, route = '', status, startedAt, placing, traceId }) {
      const series = seriesOf(method, route)
      series.statuses[status] ??= answers.labels({ method, route, status: String(status) })
      series.statuses[status].inc()
      const ms = startedAt > 0 ? elapsedMs() - startedAt : null
      if (ms !== null) series.seconds.observe(ms / 1000, traceId)
      meter.answered(status, placing, ms)
      if (placing !== null) objectives.count('order_acceptance', status < 500)
    },
    onRefused(code, isPlacing) {
      refusals.inc({ code })
      meter.answered(503, isPlacing ? 'at_once' : null, null)
      if (isPlacing) objectives.count('order_acceptance', false)
    },
  }
}
