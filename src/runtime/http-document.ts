// How a route describes itself: its schemas for validation, and what OpenAPI tells besides: the headers it takes, the codes
// it refuses with. Every route is documented through here, so that all are told in one manner.
import type { FastifySchema } from 'fastify'
import { type ErrorCode, errorTable } from '../base/errors.ts'

export type RouteDocument = {
  operationId: string
  summary: string
  description?: string
  tags: [string]
  /** Takes Idempotency-Key. */
  keyed?: boolean
  /** Takes If-Match. */
  versioned?: boolean
  /** Needs no key. */
  open?: boolean
  params?: object
  querystring?: object
  /** Further request headers, by name. */
  headers?: Record<string, object>
  body?: object
  /** Schema by status; null for an answer without a body. */
  answers: Record<number, object | null>
  /** Content type of the answers, `application/json` unless said. */
  produces?: string
  /** A further content type of the answers, as text. */
  alsoProduces?: string
  /** Codes of this route, besides those that any route may answer. */
  refusals?: ErrorCode[]
}

const keyHeader = { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' }
const visitorHeader = {
  type: 'string',
  minLength: 16,
  maxLength: 64,
  pattern: '^[!-~]+$',
  description: 'Needed with a `pk_` key.',
}
const ifMatchHeader = { type: 'string', description: 'An ETag: refuses when the thing has changed since.' }

/** Codes that a route may answer whatever it does. */
const commonRefusals: ErrorCode[] = ['unauthorized', 'forbidden', 'overloaded', 'unavailable', 'draining', 'internal']
const bodyRefusals: ErrorCode[] = [
  'invalid_json',
  'invalid_body',
  'unknown_field',
  'body_too_large',
  'unsupported_media_type',
  'request_timeout',
]
const keyRefusals: ErrorCode[] = [
  'idempotency_key_required',
  'idempotency_key_invalid',
  'idempotency_key_reused',
  'visitor_required',
  'outcome_unknown',
  'standby_unreachable',
  'cell_frozen',
  'cell_isolated',
]

/** Of what may belong to another cell. */
const routedRefusals: ErrorCode[] = ['cell_unreachable', 'cell_removed', 'too_many_hops']

const problemRef = { $ref: '#/components/schemas/Problem' }

/** The schema of a Fastify route. Bodies, queries and paths in it are validated; headers and answers are only told. */
export function documented(route: RouteDocument): FastifySchema {
  const { operationId, summary, description, tags, params, querystring, body, open } = route
  const headers: Record<string, object> = { ...route.headers }
  const required: string[] = []
  if (route.keyed) {
    headers['idempotency-key'] = keyHeader
    headers['holdfast-visitor'] = visitorHeader
    required.push('idempotency-key')
  }
  if (route.versioned) headers['if-match'] = ifMatchHeader
  return {
    operationId,
    summary,
    ...(description ? { description } : {}),
    tags,
    ...(open ? { security: [] } : {}),
    ...(params ? { params } : {}),
    ...(querystring ? { querystring } : {}),
    ...(body ? { body } : {}),
    ...(Object.keys(headers).length > 0 ? { headers: { type: 'object', required, properties: headers } } : {}),
    response: answersOf(route),
  } as FastifySchema
}

/** A route that takes and answers lines of JSON; each line is validated for itself. */
export function documentedLines(
  route: Pick<RouteDocument, 'operationId' | 'summary' | 'description' | 'tags'> & { line: object; answerLine: object },
): FastifySchema {
  const { line, answerLine, ...rest } = route
  const schema = documented({
    ...rest,
    answers: { 200: answerLine },
    produces: 'application/x-ndjson',
    refusals: ['unsupported_media_type'],
  })
  return { ...schema, body: { content: { 'application/x-ndjson': { schema: line } } } }
}

function answersOf(route: RouteDocument): Record<string, object> {
  const answers: Record<string, object> = {}
  for (const [status, schema] of Object.entries(route.answers)) {
    const also = route.alsoProduces ? { [route.alsoProduces]: { schema: { type: 'string' } } } : {}
    answers[status] = schema
      ? { description: 'Done.', content: { [route.produces ?? 'application/json']: { schema }, ...also } }
      : { description: 'Done.', type: 'null' }
  }
  for (const [status, codes] of refusalsByStatus(route)) {
    answers[status] = {
      description: codes.map((code) => `\`${code}\``).join(', '),
      content: { 'application/problem+json': { schema: problemRef } },
    }
  }
  return answers
}

function refusalsByStatus(route: RouteDocument): Map<number, ErrorCode[]> {
  const codes = new Set<ErrorCode>(['malformed_request', ...(route.refusals ?? [])])
  if (route.params || route.querystring) codes.add('invalid_parameter')
  if (route.body) for (const code of bodyRefusals) codes.add(code)
  if (route.keyed) for (const code of keyRefusals) codes.add(code)
  if (route.params || route.keyed) for (const code of routedRefusals) codes.add(code)
  if (!route.open) for (const code of commonRefusals) codes.add(code)
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const { status } = errorTable[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return byStatus
}
