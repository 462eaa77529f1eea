// The HTTP app: one Fastify instance with the door in front, strict bodies, and every module's routes behind the guard.
// Everything it needs is handed in, so that tests run it without a socket and on an engine in memory.
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { type FastifyInstance, fastify } from 'fastify'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import { orderRoutes } from '../modules/orders/routes.ts'
import { type Commands, submissionOf } from '../modules/orders/service.ts'
import type { Keys } from '../modules/shops/service.ts'
import { stockRoutes } from '../modules/stock/routes.ts'
import { acceptJson, compileSchema, type Exchange } from '../runtime/http.ts'
import type { Log } from '../runtime/log.ts'
import type { Database } from '../runtime/pg.ts'
import { createDoor } from './admission.ts'
import { answerBrokenHttp, answerUnknownRoutes, sendFailure } from './failures.ts'
import { createGuard } from './guard.ts'
import { type HealthOptions, healthRoutes } from './health.ts'

export type AppOptions = Omit<HealthOptions, 'guard'> & {
  cell: CellName
  commands: Commands
  database: Pick<Database, 'query' | 'transaction'>
  keys: Keys
  log: Pick<Log, 'error' | 'warn'>
  clock: { now(): Instant; elapsedMs(): number }
  /** Distinguishes this process's request ids: a few random characters. */
  requestPrefix: string
}

export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { cell, commands, log, clock } = options
  const exchange: Exchange = { cell, draining: false }
  const nextRequestId = requestIds(options.requestPrefix)
  const failure = { log, retryAfterSeconds: commands.retryAfterSeconds }

  const app = fastify({
    serverFactory: (handler): Server =>
      createDoor(handler, exchange, { ...commands, elapsedMs: clock.elapsedMs, nextRequestId, onRefused: () => {} }),
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
  app.decorateRequest('principal')
  acceptJson(app)
  app.setValidatorCompiler(compileSchema)
  app.setSerializerCompiler(() => JSON.stringify) // answers are text already; schemas of answers are for OpenAPI
  app.setErrorHandler((error, request, reply) => sendFailure(error, request, reply, failure))
  answerUnknownRoutes(app)

  const guard = createGuard(options.keys)
  const shared = { cell, guard, commands, database: options.database, now: clock.now }
  healthRoutes(app, { ...options, guard })
  stockRoutes(app, { ...shared, submissionOf })
  orderRoutes(app, shared)
  await app.ready()
  return app
}

/** `<prefix>-<n>`: unique among processes by the prefix, and cheap. */
function requestIds(prefix: string): () => string {
  let count = 0
  return () => `${prefix}-${(++count).toString(36)}`
}

/** Takes nothing new, answers what is in flight, and closes; connections go as soon as they are idle. */
export async function drainApp(app: FastifyInstance): Promise<void> {
  app.exchange.draining = true
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
