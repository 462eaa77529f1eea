// The HTTP app: one Fastify instance with the door in front, strict bodies, and every module's routes behind the guard.
// Everything it needs is handed in, so that tests run it without a socket and on an engine in memory.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify'
import type { CellName, ShopId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { deadLetterRoutes } from '../modules/deadletters/routes.ts'
import type { DeadLetters } from '../modules/deadletters/service.ts'
import { fulfilmentRoutes } from '../modules/fulfilment/routes.ts'
import { ledgerRoutes } from '../modules/ledger/routes.ts'
import { bulkOrderRoute } from '../modules/orders/bulk.ts'
import { LivesElsewhere } from '../modules/orders/gathering.ts'
import { findKey } from '../modules/orders/key-tables.ts'
import { lifeRoutes } from '../modules/orders/life-routes.ts'
import { createOrderReader } from '../modules/orders/reads.ts'
import { orderRoutes } from '../modules/orders/routes.ts'
import { type Commands, eventJson, type Providers, settlingThrough, submissionOf } from '../modules/orders/service.ts'
import type { Waiting } from '../modules/orders/waiting.ts'
import { workOf } from '../modules/orders/work.ts'
import { testProviderRoutes } from '../modules/payments/routes.ts'
import { stripeRoutes } from '../modules/payments/stripe-routes.ts'
import type { StripeWebhooks } from '../modules/payments/stripe-webhooks.ts'
import type { TestProvider } from '../modules/payments/test-provider.ts'
import type { AssessOrder } from '../modules/risk/service.ts'
import type { Keys } from '../modules/shops/service.ts'
import { settingsRoutes } from '../modules/shops/settings-routes.ts'
import type { SeveralCells } from '../modules/stock/adjusting.ts'
import { bulkStockRoute } from '../modules/stock/bulk.ts'
import { stockRoutes } from '../modules/stock/routes.ts'
import { transferRoutes } from '../modules/stock/transfer-routes.ts'
import { type WebhookRoutesOptions, webhookRoutes } from '../modules/webhooks/routes.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Profile } from '../runtime/config.ts'
import { acceptJson, compileSchema, type Exchange } from '../runtime/http.ts'
import type { Lives } from '../runtime/incarnation.ts'
import type { Log } from '../runtime/log.ts'
import type { Database } from '../runtime/pg.ts'
import { followRequests } from '../runtime/request-trace.ts'
import type { Tracing } from '../runtime/tracing.ts'
import { createDoor } from './admission.ts'
import { type CellRoutesOptions, cellRoutes } from './cells.ts'
import { type ChaosSource, chaosRoutes } from './chaos.ts'
import { consumerRoutes } from './consumers.ts'
import { createCors } from './cors.ts'
import { docsRoutes } from './docs-page.ts'
import { type EventRoutesOptions, eventRoutes, type OpenStreams } from './events.ts'
import { answerBrokenHttp, answerUnknownRoutes, refusalOrFault, sendFailure } from './failures.ts'
import { createForwarding, type Forwarding, type Routing } from './forwarding.ts'
import { createGuard } from './guard.ts'
import { type HealthOptions, healthRoutes } from './health.ts'
import { type ObjectiveRoutesOptions, objectiveRoutes } from './objectives.ts'
import { describeApi } from './openapi.ts'
import { type PeerRoutesOptions, peerRoutes } from './peers.ts'
import { type PulseSource, pulseRoutes } from './pulse.ts'
import { type SessionRoutesOptions, sessionRoutes } from './session.ts'
import { slowQueryRoutes } from './slow-queries.ts'
import type { Traffic } from './traffic.ts'
import { createWeb } from './web.ts'

declare module 'fastify' {
  interface FastifyInstance {
    beginDrain(): void
  }
}

export type AppOptions = Omit<HealthOptions, 'guard' | 'position'> & {
  profile: Profile
  developmentKey: SessionRoutesOptions['developmentKey']
  traceLink?: SessionRoutesOptions['traceLink']
  /** Of pages that are none of a cell's and may read what this one answers. */
  corsOrigins?: readonly string[] | undefined
  pulse: PulseSource
  /** Null outside the development profile. */
  chaos: ChaosSource | null
  /** Where the control room was built. */
  webFolder: string
  events: EventRoutesOptions['events']
  objectives: ObjectiveRoutesOptions['objectives']
  cell: CellName
  commands: Commands
  providers: Providers
  /** None when Stripe is not configured. */
  stripeWebhooks?: StripeWebhooks | null
  /** Callers who wait for their orders; told of every batch. */
  waiting: Waiting
  /** In the development profile, whose callers may look at what it charged. */
  testProvider?: TestProvider | undefined
  /** Looks at orders before they are placed; nobody does when it is absent. */
  assessOrder?: AssessOrder
  webhooks: Pick<WebhookRoutesOptions, 'webhooks' | 'urlRules'>
  deadLetters: DeadLetters
  lives(): Lives
  consumersChanged(): Promise<void>
  cells: Pick<CellRoutesOptions, 'topology' | 'peers' | 'whyNotEmptied' | 'rules'>
  database: Pick<Database, 'query' | 'transaction'>
  keys: Keys
  log: Pick<Log, 'error' | 'warn' | 'debug' | 'isLevelEnabled'>
  /** Null: nothing is traced. */
  tracing?: Tracing | null
  traffic: Traffic
  clock: Pick<Clock, 'now' | 'elapsedMs' | 'sleep'>
  /** None for a cell that is alone. */
  peers?: Omit<PeerRoutesOptions, 'elapsedMs'> | undefined
  /** Distinguishes this process's request ids: a few random characters. */
  requestPrefix: string
  /** None for a lone cell. */
  routing?: Routing | undefined
  /** What stock needs to know of the other cells; none in a lone cell. */
  several?: Omit<SeveralCells, 'elsewhere'> | undefined
}

export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { cell, commands, log, clock } = options
  const drain = new AbortController()
  const exchange: Exchange = { cell, draining: false, drain: drain.signal, onAnswer: options.traffic.onAnswer }
  const nextRequestId = requestIds(options.requestPrefix)
  const cors = createCors(options.cells.topology.current, options.corsOrigins ?? [])
  const web = createWeb({ folder: options.webFolder, cors })
  const failure = { log, retryAfterSeconds: commands.retryAfterSeconds }

  const app = fastify({
    serverFactory: (handler): Server =>
      createDoor(handler, exchange, {
        ...commands,
        elapsedMs: clock.elapsedMs,
        nextRequestId,
        onRefused: options.traffic.onRefused,
        cors,
      }),
    genReqId: nextRequestId,
    requestIdHeader: false,
    logger: false,
    bodyLimit: limits.bodyBytesMax,
    routerOptions: { maxParamLength: limits.pathCharactersMax },
    return503OnClosing: false, // the door does it, with a problem
    clientErrorHandler: (error, socket) => answerBrokenHttp(error, socket as Socket, nextRequestId),
    frameworkErrors: (error, request, reply) => void sendFailure(error, request, reply, failure),
  })
  app.decorate('exchange', exchange)
  drain.signal.addEventListener('abort', () => {
    exchange.draining = true
    options.waiting.stop()
  })
  app.decorate('beginDrain', () => drain.abort())
  app.decorate('refusalOfLate', (error: unknown, request: FastifyRequest) => refusalOrFault(error, request, log))
  app.decorateRequest('principal')
  app.decorateRequest('startedAt', 0)
  followRequests(app, options)
  acceptJson(app)
  app.setValidatorCompiler(compileSchema)
  app.setSerializerCompiler(() => JSON.stringify) // answers are text already; schemas of answers are for OpenAPI
  answerUnknownRoutes(app, web.answer)

  await describeApi(app)
  const guard = createGuard(options.keys, clock.elapsedMs)
  const forwarding = forwardingOf(app, options)
  const shared = { cell, guard, commands, database: options.database, now: clock.now }
  const { providers, waiting, assessOrder: assess = () => undefined } = options
  const readOrder = createOrderReader(options.database)
  const elsewhere = forwarding?.elsewhere ?? null
  app.setErrorHandler((error, request, reply) =>
    error instanceof LivesElsewhere && elsewhere
      ? elsewhere.forwardJson(request, reply, { cell: error.cell, isPlacedThere: true }, request.body)
      : sendFailure(error, request, reply, failure),
  )
  const ordersShared = { ...shared, providers, waiting, assess, readOrder, elsewhere }
  const several = options.several && elsewhere ? { ...options.several, elsewhere } : null
  web.routes(app)
  docsRoutes(app)
  sessionRoutes(app, { ...options, guard })
  healthRoutes(app, { ...options, guard, position: options.events.position })
  objectiveRoutes(app, { guard, objectives: options.objectives })
  slowQueryRoutes(app, { guard, database: options.database })
  const streams: OpenStreams = { open: 0 }
  eventRoutes(app, { cell, guard, events: options.events, elsewhere: forwarding?.events ?? null, streams })
  pulseRoutes(app, { ...options.cells, cell, profile: options.profile, guard, pulse: options.pulse, clock, streams })
  webhookRoutes(app, { ...shared, ...options.webhooks, bodyOf: (event) => eventJson(event, cell) })
  deadLetterRoutes(app, { ...shared, deadLetters: options.deadLetters })
  consumerRoutes(app, { guard, database: options.database, lives: options.lives, changed: options.consumersChanged })
  cellRoutes(app, { ...shared, ...options.cells })
  settingsRoutes(app, { cell, guard, database: options.database, keys: options.keys })
  stockRoutes(app, { ...shared, submissionOf, several })
  transferRoutes(app, { ...shared, submissionOf, several })
  orderRoutes(app, ordersShared)
  lifeRoutes(app, ordersShared)
  const { stripeWebhooks = null } = options
  await app.register(async (bytes) => stripeRoutes(bytes, { ...shared, stripeWebhooks, submissionOf, log }))
  ledgerRoutes(app, ordersShared)
  fulfilmentRoutes(app, { ...ordersShared, workOf })
  await app.register(async (lines) => bulkOrderRoute(lines, ordersShared))
  await app.register(async (lines) => bulkStockRoute(lines, { ...shared, submissionOf, several }))
  const { peers } = options
  if (peers) await app.register(async (bytes) => peerRoutes(bytes, { ...peers, elapsedMs: clock.elapsedMs }))
  if (options.chaos) chaosRoutes(app, { ...options.cells, ...options.chaos, cell, guard, clock, log })
  if (options.testProvider) {
    const submit = settlingThrough(commands, clock.now)
    testProviderRoutes(app, { ...shared, provider: options.testProvider, submit })
  }
  await app.ready()
  return app
}

/** Before all routes: what belongs to another cell goes there before its body is read. */
function forwardingOf(app: FastifyInstance, options: AppOptions): Forwarding | null {
  const { routing, database, cell, keys, clock } = options
  if (!routing) return null
  const found = (shopId: ShopId, hash: string) => findKey(database, shopId, hash)
  const onSent = options.pulse.meter.sentRequest
  const forwarding = createForwarding({ ...routing, cell, keys, clock, findKey: found, onSent })
  app.decorateRequest('hops', 0)
  app.decorateRequest('isPlacedHere', false)
  app.decorateRequest('signedDigest', null)
  app.addHook('onRequest', forwarding.onRequest)
  app.addHook('preParsing', forwarding.preParsing)
  app.addHook('onClose', forwarding.stop)
  return forwarding
}

/** `<prefix>-<n>`: unique among processes by the prefix, and cheap. */
function requestIds(prefix: string): () => string {
  let count = 0
  return () => `${prefix}-${(++count).toString(36)}`
}

/** Takes nothing new, answers what is in flight, and closes; connections go as soon as they are idle. */
export async function drainApp(app: FastifyInstance): Promise<void> {
  app.beginDrain()
  const closing = app.close()
  const sweep = setInterval(() => app.server.closeIdleConnections(), 20)
  const giveUp = setTimeout(() => app.server.closeAllConnections(), limits.drainMsMax)
  try {
    await closing
  } finally {
    clearInterval(sweep)
    clearTimeout(giveUp)
  }
}
