// The payment providers of a cell, and its use of them: which there are is the configuration's business, what is asked of them
// the log's.
import type { CellName, ShopId } from './base/ids.ts'
import { createOrderReader, readOrdersOfSpan } from './modules/orders/reads.ts'
import { settlingThrough } from './modules/orders/service.ts'
import type { CommandOutcome, Submission } from './modules/orders/types.ts'
import { type Payments, startPayments } from './modules/payments/start.ts'
import { createStripeProvider } from './modules/payments/stripe.ts'
import { createStripeWebhooks } from './modules/payments/stripe-webhooks.ts'
import { createTestProvider, type TestProvider } from './modules/payments/test-provider.ts'
import type { Provider } from './modules/payments/types.ts'
import type { Bus } from './runtime/bus.ts'
import type { Clock } from './runtime/clock.ts'
import type { Config } from './runtime/config.ts'
import type { Faults } from './runtime/faults.ts'
import type { Log } from './runtime/log.ts'
import type { Metrics } from './runtime/metrics.ts'
import type { Database } from './runtime/pg.ts'
import type { Tracing } from './runtime/tracing.ts'

export type ProvidersOptions = {
  cell: CellName
  database: Database
  config: Pick<Config, 'profile'> & Partial<Pick<Config, 'stripe'>>
  clock: Clock
  faults: Faults
}

export type ConfiguredProviders = {
  byName: ReadonlyMap<string, Provider>
  /** What it sells it gives away for nothing: in the development profile only, never beside real money. */
  testProvider: TestProvider | undefined
  stripeWebhooks: ReturnType<typeof createStripeWebhooks> | null
}

/** Those that `holdfast start` would offer with this configuration. */
export function openProviders({ cell, database, config, clock, faults }: ProvidersOptions): ConfiguredProviders {
  const broken = { of: faults.provider, chance: Math.random }
  const testProvider = config.profile === 'development' ? createTestProvider(database, clock, broken) : undefined
  const byName = new Map<string, Provider>()
  if (testProvider) byName.set(testProvider.name, testProvider)
  const stripe = { cell, now: clock.now }
  if (config.stripe) byName.set('stripe', createStripeProvider(config.stripe, stripe))
  return { byName, testProvider, stripeWebhooks: config.stripe ? createStripeWebhooks(config.stripe, stripe) : null }
}

export type CellPaymentsOptions = {
  database: Database
  bus: Bus
  providers: ConfiguredProviders
  /** Not while nobody knows what was asked of them. */
  mayCall(): boolean
  shopIds(): Promise<readonly ShopId[]>
  commands: { submit(submission: Submission): Promise<CommandOutcome> }
  clock: Clock
  newestSeq: () => number
  metrics: Metrics
  tracing: Tracing | null
  log: Pick<Log, 'warn'>
  onError: (error: unknown) => void
}

export function startCellPayments({ providers, commands, log, ...options }: CellPaymentsOptions): Payments {
  const { database, clock } = options
  return startPayments({
    ...options,
    providers: providers.byName,
    submit: settlingThrough(commands, clock.now),
    readOrder: createOrderReader(database),
    readOrders: readOrdersOfSpan(database),
    chance: Math.random,
    onDifferences: ({ differenceCount, differences }) =>
      log.warn({ count: differenceCount, first: differences[0] }, 'payments differ from their provider’s record'),
  })
}
