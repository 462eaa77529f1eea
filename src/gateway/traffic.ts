// What passes through the gateway, counted. Series are looked up once and kept, since every answer is counted.
import type { Exchange } from '../runtime/http.ts'
import { type Metrics, secondsBuckets } from '../runtime/metrics.ts'
import type { PulseMeter } from '../runtime/pulse.ts'

export type Traffic = {
  onAnswer: Exchange['onAnswer']
  /** At the door, before anything was read. */
  onRefused(code: 'overloaded' | 'draining', isPlacing: boolean): void
}

type Series = { inc(): void }

export function countTraffic(metrics: Metrics, elapsedMs: () => number, meter: Pick<PulseMeter, 'answered'>): Traffic {
  const answers = metrics.counter('holdfast_http_answers_total', 'Answers, by method and status', ['method', 'status'])
  const seconds = metrics.histogram('holdfast_http_seconds', 'From the guard to the answer', secondsBuckets)
  const refusals = metrics.counter('holdfast_http_refused_total', 'Refused before the body was read', ['code'])
  const series = new Map<string, Series[]>()

  function seriesOf(method: string, status: number): Series {
    const found = series.get(method)?.[status]
    if (found) return found
    const made = answers.labels({ method, status: String(status) })
    const byStatus = series.get(method) ?? []
    byStatus[status] = made
    series.set(method, byStatus)
    return made
  }

  return {
    onAnswer(method, status, startedAt, placing) {
      seriesOf(method, status).inc()
      const ms = startedAt > 0 ? elapsedMs() - startedAt : null
      if (ms !== null) seconds.observe(ms / 1000)
      meter.answered(status, placing, ms)
    },
    onRefused(code, isPlacing) {
      refusals.inc({ code })
      meter.answered(503, isPlacing ? 'at_once' : null, null)
    },
  }
}
