// Webhooks of a cell: what the configuration says of URLs, and the module's parts with what they are handed.
import type { CellName } from './base/ids.ts'
import { limits } from './base/limits.ts'
import { eventJson } from './modules/orders/service.ts'
import type { WebhookRoutesOptions } from './modules/webhooks/routes.ts'
import { startWebhooks, type Webhooks } from './modules/webhooks/service.ts'
import { countDead } from './modules/webhooks/store.ts'
import type { Bus } from './runtime/bus.ts'
import type { Clock } from './runtime/clock.ts'
import type { Config } from './runtime/config.ts'
import { every } from './runtime/every.ts'
import type { LogReader } from './runtime/logreader.ts'
import { type Metrics, secondsBuckets } from './runtime/metrics.ts'
import type { Database } from './runtime/pg.ts'

export type CellWebhooksOptions = {
  cell: CellName
  database: Database
  bus: Bus
  reader: LogReader
  clock: Clock
  config: Pick<Config, 'profile'> & Partial<Pick<Config, 'webhookPorts'>>
  metrics: Metrics
  thawed(signal: AbortSignal): Promise<void>
  onError: (error: unknown) => void
}

export type CellWebhooks = Pick<WebhookRoutesOptions, 'urlRules'> & { webhooks: Webhooks; stop(): Promise<void> }

export function startCellWebhooks({ config, metrics, ...parts }: CellWebhooksOptions): CellWebhooks {
  const { profile, webhookPorts: ports = [] } = config
  const publicOnly = profile !== 'development'
  const attempts = metrics.counter('holdfast_webhook_attempts_total', 'Webhooks that were sent', ['outcome'])
  const seconds = metrics.histogram(
    'holdfast_webhook_seconds',
    'Until an endpoint answered, or did not',
    secondsBuckets,
  )
  const webhooks = startWebhooks({
    ...parts,
    publicOnly,
    chance: Math.random,
    bodyOf: (event) => eventJson(event, parts.cell),
    onAttempt(outcome, ms) {
      attempts.inc({ outcome })
      seconds.observe(ms / 1000)
    },
  })
  const told = `Webhooks that are tried no more; ${limits.deadDeliveriesCountedMax} stand for more`
  const dead = metrics.gauge('holdfast_webhook_dead_deliveries', told)
  const counting = every(
    limits.operationsCountedEveryMs,
    async () => dead.set(await countDead(parts.database, limits.deadDeliveriesCountedMax)),
    parts.onError,
  )
  return {
    webhooks,
    urlRules: { publicOnly, ports },
    async stop() {
      await Promise.all([counting.stop(), webhooks.stop()])
    },
  }
}
