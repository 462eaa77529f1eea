// The objectives as this process counts them: each event of an objective's kind, and whether it was good. Prometheus scrapes the
// same counters, and its alerts know every process and the past; what is told here began with this process.
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { type ObjectiveName, objectives, windowDays } from '../../deploy/observability/objectives.ts'
import { ref, Time } from '../base/schemas.ts'
import { type Instant, toRfc3339 } from '../base/time.ts'
import type { Guard } from '../modules/shops/types.ts'
import { sendJson } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { Metrics } from '../runtime/metrics.ts'

export type ObjectiveCounts = {
  count(name: ObjectiveName, isGood: boolean): void
  read(name: ObjectiveName): { good: number; total: number }
  since: Instant
}

export function countObjectives(metrics: Metrics, since: Instant): ObjectiveCounts {
  const labels = ['objective'] as const
  const events = metrics.counter('holdfast_objective_events_total', 'Events that an objective is about', labels)
  const good = metrics.counter('holdfast_objective_good_total', 'Those of them that were good', labels)
  const byName = new Map(
    objectives.map(({ name: objective }) => {
      const series = { events: events.labels({ objective }), good: good.labels({ objective }) }
      series.events.inc(0) // there from the start, so that the first bad event is seen as a rise
      series.good.inc(0)
      return [objective, { ...series, counted: { good: 0, total: 0 } }]
    }),
  )
  return {
    count(name, isGood) {
      const series = byName.get(name)!
      series.counted.total++
      series.events.inc()
      if (!isGood) return
      series.counted.good++
      series.good.inc()
    },
    read: (name) => byName.get(name)!.counted,
    since,
  }
}

const ObjectiveList = Type.Object({
  data: Type.Array(
    Type.Object({
      name: Type.String(),
      title: Type.String(),
      description: Type.String({ description: 'What is counted, and what of it is good.' }),
      target: Type.Number({ description: 'The share that is to be good.' }),
      window_days: Type.Integer({ description: 'Over which the target holds.' }),
      good: Type.Integer(),
      total: Type.Integer(),
      since: Time,
    }),
  ),
  next_cursor: Type.Null({ description: 'All are on one page.' }),
})
/** Named in OpenAPI. */
export const components = { ObjectiveList }

export type ObjectiveRoutesOptions = { guard: Guard; objectives: Pick<ObjectiveCounts, 'read' | 'since'> }

export function objectiveRoutes(app: FastifyInstance, { guard, objectives: counts }: ObjectiveRoutesOptions): void {
  app.get(
    '/v1/objectives',
    {
      onRequest: guard.allow('cells:read'),
      schema: documented({
        operationId: 'listObjectives',
        summary: 'What is promised, and how much of it this process has kept since it began',
        tags: ['health'],
        answers: { 200: ref('ObjectiveList') },
      }),
    },
    async (_, reply) => {
      const since = toRfc3339(counts.since)
      const data = objectives.map(({ name, title, description, target }) => {
        const { good, total } = counts.read(name)
        return { name, title, description, target, window_days: windowDays, good, total, since }
      })
      return sendJson(reply, 200, JSON.stringify({ data, next_cursor: null }))
    },
  )
}
