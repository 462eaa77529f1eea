// What every route answers with: JSON that is ready as text, or a refusal as problem+json; each with its request id and
// cell. And what a body, a query and a path must be: strict JSON in UTF-8, checked by schemas, nothing coerced in bodies.
import { isUtf8 } from 'node:buffer'
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaCompiler } from 'fastify'
import type { CellName } from '../base/ids.ts'
import { type Json, parseJson, pointerToken } from '../base/json.ts'
import { problemJson, statusOf } from '../base/problem.ts'
import { type FieldProblem, type Refused, refused } from '../base/result.ts'
import { instantMax, instantMin, parseRfc3339 } from '../base/time.ts'
import type { Placing } from './pulse.ts'

export type Answered = {
  method: string
  /** The template of a route of ours. */
  route: string | undefined
  status: number
  /** 0: it is not timed, since it never reached a route, or goes on for as long as its reader likes. */
  startedAt: number
  placing: Placing | null
  /** Of a request that is sampled. */
  traceId: string | null
}

/** What all answers of a server share. */
export type Exchange = {
  cell: CellName
  draining: boolean
  drain: AbortSignal
  /** Told of each answer. */
  onAnswer(answer: Answered): void
}

declare module 'fastify' {
  interface FastifyInstance {
    exchange: Exchange
  }
  interface FastifyRequest {
    /** Milliseconds on the clock that never goes back. */
    startedAt: number
  }
}

export const answerTo = (request: FastifyRequest, status: number): Answered => ({
  method: request.method,
  route: request.routeOptions.url,
  status,
  startedAt: request.startedAt,
  placing: placingOf(request),
  traceId: request.span?.traceId ?? null,
})

/** Counts an answer that goes on, as it begins. */
export const streamBegins = (request: FastifyRequest): void =>
  request.server.exchange.onAnswer({ ...answerTo(request, 200), startedAt: 0 })

/** One order that was to be placed here; those of bulk requests are no requests. */
function placingOf({ raw }: FastifyRequest): Placing | null {
  if (raw.url !== '/v1/orders' || raw.method !== 'POST') return null
  return raw.headers.prefer === undefined ? 'at_once' : 'waiting'
}

export type Headers = Record<string, string>

/** Answers with bytes that are complete already. */
export function sendBytes(
  reply: FastifyReply,
  status: number,
  body: string | Buffer,
  contentType: string,
): FastifyReply {
  const { request } = reply
  const { cell, draining, onAnswer } = reply.server.exchange
  onAnswer(answerTo(request, status))
  reply
    .code(status)
    .header('content-type', contentType)
    .header('x-request-id', request.id)
    .header('holdfast-cell', cell)
  if (draining) reply.header('connection', 'close')
  return reply.send(body)
}

export const sendText: (reply: FastifyReply, status: number, body: string, contentType: string) => FastifyReply =
  sendBytes

export const sendJson = (reply: FastifyReply, status: number, json: string): FastifyReply =>
  sendText(reply, status, json, 'application/json; charset=utf-8')

export function sendRefused(reply: FastifyReply, refusal: Refused): FastifyReply {
  if (refusal.code === 'idempotency_key_in_flight') reply.header('retry-after', 1)
  return sendText(reply, statusOf(refusal.code), problemJson(refusal), 'application/problem+json')
}

export function sendNothing(reply: FastifyReply): FastifyReply {
  return sendText(reply, 204, '', 'application/json') // Fastify leaves the content type out of an empty answer
}

/** A refusal that is found where no value can be answered, such as in a body parser. Caught by the error handler only. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest'
  readonly refusal: Refused

  constructor(refusal: Refused) {
    super(refusal.code)
    this.refusal = refusal
  }
}

/** The value in a body or in a line of one. */
export function readJson(bytes: Buffer): { ok: true; value: Json } | Refused {
  if (!isUtf8(bytes)) return refused('invalid_json', 'The text is not UTF-8.')
  const parsed = parseJson(bytes.toString())
  if (parsed.ok) return parsed
  const { fault } = parsed
  if (fault.code === 'syntax') return refused('invalid_json')
  if (fault.code === 'text') return refused('invalid_body', 'Text may hold neither NUL nor lone surrogates.', [fault])
  return refused(
    'invalid_json',
    fault.code === 'too_deep' ? 'It is nested too deep.' : 'A member stands twice in an object.',
    [{ pointer: '', code: fault.code }],
  )
}

/** Takes JSON bodies, and only those: everything else is 415. */
export function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (request.headers['content-encoding'] !== undefined) {
      return done(new RefusedRequest(refused('unsupported_media_type', 'Bodies are not compressed.')))
    }
    const charset = /charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers['content-type']!)
    if (charset && !/^(utf-?8|us-ascii)$/i.test(charset[1]!)) {
      return done(new RefusedRequest(refused('unsupported_media_type', 'JSON is UTF-8.')))
    }
    const parsed = readJson(body)
    if (parsed.ok) done(null, parsed.value)
    else done(new RefusedRequest(parsed))
  })
}

// `strictRequired` off: `oneOf` of two `required` lists is how a schema says "one of these fields".
const ajvOptions = { strict: true, strictRequired: false, allowUnionTypes: true, validateFormats: true } as const
const formats = {
  'date-time': (text: string) => {
    const at = parseRfc3339(text)
    return at !== undefined && at >= instantMin && at <= instantMax
  },
}
const keywords = ['told'] // for OpenAPI only
const bodies = new Ajv2020({ ...ajvOptions, formats, keywords })
// `strictNumbers` off: with it, 400 digits are coerced to Infinity, which no `maximum` is then asked about [seen, ajv 8.20].
const parameters = new Ajv2020({ ...ajvOptions, formats, keywords, coerceTypes: 'array', strictNumbers: false })

export const compileBody = (schema: object): ValidateFunction => bodies.compile(schema)

/** One compiled function per schema. Headers are described by schemas and checked by hand, since each has its own code. */
export const compileSchema: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  if (httpPart === 'headers') return () => true
  return httpPart === 'body' ? bodies.compile(schema) : parameters.compile(schema)
}

/** What each keyword of a schema means to the caller. */
const problemCodes: Record<string, string> = {
  additionalProperties: 'unknown_field',
  required: 'required',
  type: 'type',
  minimum: 'too_small',
  maximum: 'too_large',
  minLength: 'too_short',
  maxLength: 'too_long',
  minItems: 'too_few',
  maxItems: 'too_many',
  minProperties: 'too_few',
  maxProperties: 'too_many',
  uniqueItems: 'repeated',
  pattern: 'format',
  format: 'format',
  propertyNames: 'name',
  enum: 'not_allowed',
  const: 'not_allowed',
  oneOf: 'exactly_one',
  dependentRequired: 'needs_another_field',
}

/** The first thing a schema found. `where` is null for a body. */
export function schemaRefusal(errors: readonly ErrorObject[], where: 'path' | 'query' | null): Refused {
  // Errors inside oneOf or propertyNames come before the error of the keyword itself, which is the one to tell.
  const error = errors.find(({ keyword }) => keyword === 'oneOf' || keyword === 'propertyNames') ?? errors[0]!
  const field: FieldProblem = { pointer: error.instancePath, code: problemCodes[error.keyword] ?? error.keyword }
  if (error.keyword === 'required') field.pointer += `/${pointerToken(error.params.missingProperty)}`
  if (error.keyword === 'additionalProperties') field.pointer += `/${pointerToken(error.params.additionalProperty)}`
  if (where !== null) field.in = where
  const code = field.code === 'unknown_field' ? 'unknown_field' : where === null ? 'invalid_body' : 'invalid_parameter'
  return refused(code, error.message, [field])
}

/** `"7"` of an If-Match header as 7; null without one or for `*`; undefined when it is no version of ours. */
export function ifMatchOf(request: FastifyRequest): number | null | undefined {
  const header = request.headers['if-match']
  if (header === undefined || header === '*') return null
  const match = /^(?:W\/)?"(\d{1,9})"$/.exec(header)
  return match ? Number(match[1]) : undefined
}

export const etagOf = (version: number): string => `"${version}"`

/** `POST /v1/orders/x/cancel`, the target that an idempotency key is bound to. */
export function targetOf(request: FastifyRequest): string {
  const query = request.url.indexOf('?')
  return `${request.method} ${query < 0 ? request.url : request.url.slice(0, query)}`
}
