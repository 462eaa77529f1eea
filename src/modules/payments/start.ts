// A cell's use of its providers, put together: the consumer of the log, the executor, the loop that takes up what is due, and
// what can be measured of them.
import type { ShopId, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { addMs } from '../../base/time.ts'
import type { Bus } from '../../runtime/bus.ts'
import type { Clock } from '../../runtime/clock.ts'
import { every } from '../../runtime/every.ts'
import type { Metrics } from '../../runtime/metrics.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Tracing } from '../../runtime/tracing.ts'
import type { Order } from '../orders/types.ts'
import { createCalls, observeCalls } from './calls.ts'
import { paymentsConsumer } from './consumer.ts'
import { createExecutor, type Providers, type SubmitSettle } from './executor.ts'
import { createPrompt, type Prompt } from './prompt.ts'
import { emptyReport, type ReconcileParts, type ReconcileReport, reconcileOrders } from './reconcile.ts'
import { countOperations, createOperationRows, insertOperations, insertTakenBack, strandOperations } from './store.ts'

export type PaymentsOptions = {
  database: Database
  bus: Bus
  providers: Providers
  submit: SubmitSettle
  /** Whether providers may be called at all. */
  mayCall(): boolean
  readOrder: (shopId: ShopId, id: Uuid) => Promise<Order | undefined>
  /** Whose payments are compared with the providers' records, and how their orders are found. */
  shopIds(): Promise<readonly ShopId[]>
  readOrders: ReconcileParts['readOrders']
  clock: Clock
  /** The newest event that can be read now. */
  newestSeq: () => number
  /** 0 ≤ x < 1 */
  chance: () => number
  metrics: Metrics
  tracing: Tracing | null
  onError: (error: unknown) => void
  /** Payments on which we and a provider do not agree. */
  onDifferences: (report: ReconcileReport) => void
}

export type Payments = {
  saw: Prompt['saw']
  /** Takes nothing new, and lets calls that are under way end within their time. */
  stop(): Promise<void>
}

export function startPayments(options: PaymentsOptions): Payments {
  const { database, bus, providers, clock, metrics, onError } = options
  const observe = observeCalls(metrics)
  const calls = [...providers.values()].map((one) => createCalls(one, clock.elapsedMs, observe, options.tracing))
  const executor = createExecutor({ ...options, calls, rows: createOperationRows(database) })
  const prompt = createPrompt({ executor, clock })
  const consumption = bus.consume(
    paymentsConsumer({ ...options, executor, prompt, insert: insertOperations, insertTakenBack }),
  )
  const operations = metrics.gauge(
    'holdfast_payment_operations',
    'What providers have been asked, and not yet answered',
    ['state'],
  )
  const differences = metrics.gauge('holdfast_payment_differences', 'Recent payments that a provider knows otherwise')
  const recurring = [
    every(limits.operationsEveryMs, async () => void (options.mayCall() && (await executor.takeDue())), onError),
    every(
      limits.operationsCountedEveryMs,
      async () => {
        const { open, dead } = await countOperations(database)
        operations.set({ state: 'open' }, open)
        operations.set({ state: 'dead' }, dead)
        await strandOperations(database, [...providers.keys()], limits.strandedMs)
      },
      onError,
    ),
    every(
      limits.reconcileEveryMs,
      async (stopping) => void (options.mayCall() && (await reconcileRecent(options, differences, stopping))),
      onError,
    ),
  ]
  return {
    saw(submissions, outcomes, sinceMs) {
      if (!consumption.isPaused) prompt.saw(submissions, outcomes, sinceMs)
    },
    async stop() {
      await consumption.stop()
      await Promise.all([executor.stop(), ...recurring.map((one) => one.stop())])
    },
  }
}

async function reconcileRecent(
  options: PaymentsOptions,
  differences: { set(count: number): void },
  stopping: AbortSignal,
): Promise<void> {
  const { clock, shopIds, onDifferences } = options
  const report = emptyReport()
  const now = clock.now()
  const span = { after: addMs(now, -limits.reconcileSpanMs), before: addMs(now, -limits.reconcileQuietMs) }
  for (const shopId of await shopIds()) {
    await reconcileOrders({ ...options, stopping }, shopId, { span, ordersMax: limits.reconcileOrdersMax }, report)
  }
  if (stopping.aborted) return // what it has not looked at may differ as well
  differences.set(report.differenceCount)
  if (report.differenceCount > 0) onDifferences(report)
}
