// A request and its trace: the span of one that is sampled, and for every request the ids by which its log lines, and those of the
// cell that it is forwarded to, are found.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseWireId } from '../base/ids.ts'
import type { Log } from './log.ts'
import { hexId, readTraceparent, type TraceParent, traceparentText } from './trace-context.ts'
import type { Span, SpanAttributes, SpanFacts, Tracing } from './tracing.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null: not sampled. */
    span: Span | null
    /** The caller's, or one of our own that is not sampled; null until somebody asks. */
    traceParent: TraceParent | null
  }
}

export type FollowOptions = {
  tracing?: Tracing | null
  log: Pick<Log, 'debug' | 'isLevelEnabled'>
}

/** Registered before all that looks at requests. */
export function followRequests(app: FastifyInstance, { tracing = null, log }: FollowOptions): void {
  app.decorateRequest('span', null)
  app.decorateRequest('traceParent', null)
  const isDebugging = log.isLevelEnabled('debug')
  if (!tracing && !isDebugging) return
  app.addHook('onRequest', (request, reply, done) => {
    if (tracing) request.span = serve(tracing, request)
    if (request.span || isDebugging) reply.raw.once('close', () => over(request, reply, log))
    done()
  })
}

/** Probes, scrapers and cells among themselves begin no traces; they go on with one. */
function serve(tracing: Tracing, request: FastifyRequest): Span | null {
  const { traceparent } = request.headers
  const caller = traceparent === undefined ? undefined : readTraceparent(traceparent)
  if (!caller && !request.url.startsWith('/v1/')) return null
  return tracing.serve(caller, () => factsOf(request))
}

/** Fastify makes `routeOptions` anew each time that they are asked for, so that this is for the sampled alone. */
function factsOf(request: FastifyRequest): SpanFacts {
  const route = request.routeOptions.url
  const attributes: SpanAttributes = { 'http.request.method': request.method, 'holdfast.request_id': request.id }
  if (route !== undefined) attributes['http.route'] = route
  return { name: route === undefined ? request.method : `${request.method} ${route}`, attributes }
}

function over(request: FastifyRequest, reply: FastifyReply, log: FollowOptions['log']): void {
  const { statusCode, headersSent, writableFinished } = reply.raw
  const status = headersSent ? statusCode : null
  const { span, method } = request
  const order = orderIn(request)
  log.debug({ ...logFieldsOf(request), method, route: request.routeOptions.url, status }, 'answered')
  if (!span) return
  if (status !== null) span.set({ 'http.response.status_code': status })
  if (order !== undefined) span.set({ 'holdfast.order_id': order })
  span.end(status !== null && status >= 500 ? String(status) : writableFinished ? undefined : 'not_answered')
}

/** Where the request's trace goes on: with a span of it, as the caller has said, or with one that is made up here. */
function traceOf(request: FastifyRequest): TraceParent {
  request.traceParent ??= readTraceparent(request.headers.traceparent) ?? {
    traceId: hexId(32),
    spanId: hexId(16),
    isSampled: false,
  }
  return request.traceParent
}

/** What a request that is made on behalf of this one carries, if there is no span for it. */
export const traceparentOf = (request: FastifyRequest): string =>
  request.span?.traceparent ?? traceparentText(traceOf(request))

/** Of every log line that is written within a request. */
export function logFieldsOf(request: FastifyRequest): Record<string, string> {
  const order = orderIn(request)
  const caller = readTraceparent(request.headers.traceparent)
  return {
    request_id: request.id,
    trace_id: request.span?.traceId ?? traceOf(request).traceId,
    ...(caller ? { parent_id: caller.spanId } : {}),
    ...(order === undefined ? {} : { order_id: order }),
  }
}

/** The order in a request's path, if what stands there is an id at all. */
function orderIn({ routeOptions, params }: FastifyRequest): string | undefined {
  if (!routeOptions.url?.startsWith('/v1/orders/:id')) return undefined
  const { id } = (params ?? {}) as { id?: string }
  return id !== undefined && parseWireId(id)?.prefix === 'ord' ? id : undefined
}
