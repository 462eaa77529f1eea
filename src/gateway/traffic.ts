// What passes through the gateway, counted. Series are looked up once and kept, since every answer is counted.
import { type Metrics, secondsBuckets } from '../runtime/metrics.ts'

export type Traffic = {
  onAnswer(method: string, status: number, startedAt: number): void
  /** At the door, before anything was read. */
  onRefused(code: 'overloaded' | 'draining'): void
}

type Series = { inc(): void }

export function countTraffic(metrics: Metrics, elapsedMs: () => number): Traffic {
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
    onAnswer(method, status, startedAt) {
      seriesOf(method, status).inc()
      if (startedAt > 0) seconds.observe((elapsedMs() - startedAt) / 1000)
    },
    onRefused: (code) => refusals.inc({ code }),
  }
}
