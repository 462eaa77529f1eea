// What is thrown becomes a problem here, and only here: Fastify's own refusals, a database that is gone, a full queue, and
// bugs, which are logged with the request's id and answered without a trace of why. Broken HTTP gets a problem as well.
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorCode } from '../base/errors.ts'
import { problemJson, statusOf } from '../base/problem.ts'
import { type Refused, refused } from '../base/result.ts'
import { Overloaded } from '../runtime/batch.ts'
import { GateShut } from '../runtime/gate.ts'
import { RefusedRequest, schemaRefusal, sendRefused } from '../runtime/http.ts'
import type { Log } from '../runtime/log.ts'
import { isStreaming } from '../runtime/ndjson.ts'
import { DatabaseUnavailable, failureClass } from '../runtime/pg-failure.ts'
import { logFieldsOf } from '../runtime/request-trace.ts'
import { CellFrozen, CellIsolated } from '../runtime/standing.ts'
import type { Web } from './web.ts'

export type FailureOptions = { log: Pick<Log, 'error' | 'warn'>; retryAfterSeconds(): number }

/** Fastify's codes that are the caller's doing. */
const fastifyCodes: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_CTP_EMPTY_TYPE: 'unsupported_media_type',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  FST_ERR_ASYNC_CONSTRAINT: 'malformed_request',
}

/** A second, and it may be over. */
const asksToWait = new Set<ErrorCode>([
  'unavailable',
  'outcome_unknown',
  'standby_unreachable',
  'cell_frozen',
  'cell_isolated',
])

/** The database is there, but too many wait for it. */
const fullCodes = new Set(['reads_full', 'transactions_full'])

/** The refusal that an error stands for; undefined for a fault of ours. */
function refusalOf(error: unknown): Refused | undefined {
  if (error instanceof RefusedRequest) return error.refusal
  if (error instanceof Overloaded) return refused('overloaded')
  if (error instanceof GateShut && !error.mayHaveHappened) return refused('standby_unreachable')
  if (error instanceof CellFrozen && !error.mayHaveHappened) return refused('cell_frozen')
  if (error instanceof CellIsolated) return refused('cell_isolated')
  if (error instanceof DatabaseUnavailable && fullCodes.has(error.code)) return refused('overloaded')
  if (error instanceof DatabaseUnavailable) return refused(error.mayHaveHappened ? 'outcome_unknown' : 'unavailable')
  if (failureClass(error) === 'rerun') return refused('unavailable') // its reruns were used up
  const { code, validation, validationContext } = error as Partial<FastifyError>
  if (validation) {
    const where = validationContext === 'body' ? null : validationContext === 'params' ? 'path' : 'query'
    return schemaRefusal(validation as Parameters<typeof schemaRefusal>[0], where)
  }
  const known = code === undefined ? undefined : fastifyCodes[code]
  return known && refused(known)
}

/** The same; a fault of ours is logged with the request's id, and answered without a trace of why. */
export function refusalOrFault(error: unknown, request: FastifyRequest, log: FailureOptions['log']): Refused {
  const refusal = refusalOf(error)
  if (!refusal) {
    const route = request.routeOptions.url
    log.error({ err: error, ...logFieldsOf(request), route }, 'request failed')
    return refused('internal')
  }
  if (refusal.code === 'unavailable' || refusal.code === 'outcome_unknown') {
    log.warn({ ...logFieldsOf(request), reason: (error as Error).message }, refusal.code)
  }
  return refusal
}

export function sendFailure(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { log, retryAfterSeconds }: FailureOptions,
): FastifyReply {
  const refusal = refusalOrFault(error, request, log)
  if (refusal.code === 'overloaded') reply.header('retry-after', retryAfterSeconds())
  if (asksToWait.has(refusal.code)) reply.header('retry-after', 1)
  // What is too large is not read to its end, so the connection cannot be used again.
  if (refusal.code === 'body_too_large') reply.header('connection', 'close')
  return sendRefused(reply, refusal)
}

/**
 * Registered before the routes: remembers them, so that a known path with another method is 405 and tells which. What no route knows
 * may be a page's.
 */
export function answerUnknownRoutes(app: FastifyInstance, page: Web['answer']): void {
  const known = new Map<string, { pattern: RegExp; methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(`^${url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[a-z]+/g, '[^/]+')}$`)
    const route = known.get(url) ?? { pattern, methods: new Set() }
    for (const one of [method].flat()) route.methods.add(one)
    known.set(url, route)
  })
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const methods = new Set<string>()
    for (const route of known.values()) {
      if (!route.pattern.test(path)) continue
      for (const method of route.methods) methods.add(method)
    }
    if (methods.size === 0) return (await page(request, reply)) ?? sendRefused(reply, refused('not_found'))
    return sendRefused(reply.header('allow', [...methods].sort().join(', ')), refused('method_not_allowed'))
  })
}

const clientCodes: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

/** Bytes that are no request, or that do not arrive in time. Nothing can follow them on the connection. */
export function answerBrokenHttp(error: Error & { code?: string }, socket: Socket, nextRequestId: () => string): void {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && isStreaming(socket)) return
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const code = clientCodes[error.code ?? ''] ?? 'malformed_request'
  const status = statusOf(code)
  const body = problemJson(refused(code))
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${nextRequestId()}\r\nconnection: close\r\n\r\n${body}`,
  )
}
