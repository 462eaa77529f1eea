// GET /v1/events: the log of this cell as pages, and as a stream of server-sent events whose ids are positions.
import { once } from 'node:events'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import type { ErrorCode } from '../base/errors.ts'
import type { CellName, ShopId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { refusedField } from '../base/problem.ts'
import { refused } from '../base/result.ts'
import { closed, page, ref } from '../base/schemas.ts'
import { eventJson } from '../modules/orders/service.ts'
import type { Guard } from '../modules/shops/types.ts'
import { parseTypes } from '../runtime/event-types.ts'
import { sendJson, sendRefused, streamBegins } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { EventPage, LogReader } from '../runtime/logreader.ts'
import { type EventsElsewhere, pageJson, pageOfAll, streamOfAll } from './events-of-all.ts'

export type EventRoutesOptions = {
  cell: CellName
  guard: Guard
  events: Pick<LogReader, 'page' | 'follow' | 'position'>
  /** None in a lone cell. */
  elsewhere: EventsElsewhere | null
  streams: OpenStreams
}

/** Of one process, whatever they are of. */
export type OpenStreams = { open: number }

const position = Type.String({
  maxLength: limits.positionCharactersMax,
  description: 'Opaque; absent or empty: the oldest event kept.',
})
const EventsQuery = closed({
  after: Type.Optional(position),
  types: Type.Optional(Type.String({ maxLength: 1_000, description: 'For example `order.*,stock.short`.' })),
  limit: page.limit,
  cell: Type.Optional(
    Type.String({
      maxLength: 64,
      description: 'The log of another cell; `*`: those of all, whose positions are vectors.',
    }),
  ),
})
type EventsQuery = Static<typeof EventsQuery>

export const components = {
  EventPage: Type.Object({
    data: Type.Array(ref('Event')),
    next_position: Type.String(),
    missing_cells: Type.Optional(
      Type.Array(Type.String(), { description: 'With `cell=*`: cells out of reach, to be read later.' }),
    ),
  }),
}

type Following = Pick<EventRoutesOptions, 'cell' | 'events' | 'elsewhere'>

export function eventRoutes(app: FastifyInstance, options: EventRoutesOptions): void {
  const { cell, guard, events, streams } = options
  app.get<{ Querystring: EventsQuery }>(
    '/v1/events',
    {
      onRequest: guard.allow('events:read'),
      schema: documented({
        operationId: 'listEvents',
        summary: 'What happened in this cell, oldest first',
        description:
          'A page; or, with `Accept: text/event-stream`, a stream of the same events without end, whose `id` is a position and which `Last-Event-ID` resumes. Events are delivered at least once and in order within a subject. With `cell=*` a message named `missing_cells` says which cells are out of reach, whenever that changes.',
        tags: ['events'],
        querystring: EventsQuery,
        headers: { 'last-event-id': { type: 'string', description: 'A position; streams only.' } },
        answers: { 200: ref('EventPage') },
        alsoProduces: 'text/event-stream',
        refusals: ['cursor_invalid', 'position_expired', 'cell_not_found', 'cell_removed', 'cell_unreachable'],
      }),
    },
    async (request, reply) => {
      const { query, principal } = request
      const types = parseTypes(query.types)
      if (types === 'invalid') return sendRefused(reply, refusedField('invalid_parameter', '/types', { in: 'query' }))
      const isOfAll = query.cell === '*'
      if (query.cell !== undefined && query.cell !== cell && !isOfAll) return refuseCell('cell_not_found', reply)
      const wanted = { shopId: principal.shopId, types }
      const isStream = wantsStream(request)
      const after = isStream ? String(request.headers['last-event-id'] ?? query.after ?? '') : query.after
      if (isStream && streams.open >= limits.streamsMax)
        return sendRefused(reply.header('retry-after', '1'), refused('overloaded'))
      if (isStream) {
        streams.open++
        const stream = isOfAll ? followAll : follow
        return stream(options, request, reply, { ...wanted, after: after! }).finally(() => streams.open--)
      }
      if (isOfAll) {
        const page = await pageOfAll(options, request, { ...wanted, after, limit: query.limit })
        return page.ok ? sendJson(reply, 200, pageJson(page.value)) : sendRefused(reply, page)
      }
      const found = await events.page({ ...wanted, after: query.after, limit: query.limit ?? limits.listLimitDefault })
      if (!found.ok) return sendRefused(reply, found)
      const data = found.value.events.map((event) => eventJson(event, cell)).join(',')
      return sendJson(reply, 200, `{"data":[${data}],"next_position":"${found.value.nextPosition}"}`)
    },
  )
}

const refuseCell = (code: ErrorCode, reply: FastifyReply): FastifyReply =>
  sendRefused(reply, refusedField(code, '/cell', { in: 'query' }))

export const wantsStream = (request: FastifyRequest): boolean =>
  request.method === 'GET' && /\btext\/event-stream\b/.test(String(request.headers.accept ?? ''))

type Wanted = { shopId: ShopId; types: Exclude<ReturnType<typeof parseTypes>, 'invalid'>; after: string }

/** Streams until the caller leaves, the server drains, or the log ends it; the caller then resumes where it was. */
async function follow(
  { cell, events }: Following,
  _request: FastifyRequest,
  reply: FastifyReply,
  wanted: Wanted,
): Promise<FastifyReply | undefined> {
  const signal = endOf(reply)
  const pages = await events.follow(wanted, signal)
  if (!pages.ok) return sendRefused(reply, pages)
  return send(reply, cell, textsOf(pages.value, { cell, events }), signal)
}

async function followAll(
  options: Following,
  request: FastifyRequest,
  reply: FastifyReply,
  wanted: Wanted,
): Promise<FastifyReply | undefined> {
  const first = await pageOfAll(options, request, { ...wanted, limit: undefined })
  if (!first.ok) return sendRefused(reply, first)
  const signal = endOf(reply)
  const texts = streamOfAll(options, request, { ...wanted, first: first.value, signal })
  return send(reply, options.cell, texts, signal)
}

/** Aborts when the caller leaves or the server drains. */
export function endOf(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.on('close', () => left.abort())
  if (reply.raw.destroyed) left.abort() // gone while its key was looked up
  return AbortSignal.any([left.signal, reply.server.exchange.drain])
}

async function send(
  reply: FastifyReply,
  cell: CellName,
  texts: AsyncIterable<string>,
  signal: AbortSignal,
): Promise<undefined> {
  reply.hijack()
  streamBegins(reply.request)
  const response = reply.raw
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-request-id': reply.request.id,
    'holdfast-cell': cell,
  })
  response.write(': live\n\n') // the head leaves now, not with the first event
  const heartbeat = setInterval(() => response.write(': \n\n'), limits.streamHeartbeatMs)
  try {
    for await (const text of texts) {
      if (!response.write(text)) await once(response, 'drain', { signal }).catch(() => {})
    }
  } catch (error) {
    reply.server.refusalOfLate(error, reply.request) // told to the log; the caller resumes when the stream ends
  } finally {
    clearInterval(heartbeat)
    response.end()
  }
  return undefined
}

async function* textsOf(
  pages: AsyncIterable<EventPage>,
  of: Pick<EventRoutesOptions, 'cell' | 'events'>,
): AsyncGenerator<string> {
  for await (const page of pages) yield pageText(page, of)
}

/** Each event under its position; then the page's own, which may be further on, past what was not wanted. */
function pageText(
  { events: found, nextPosition }: EventPage,
  { cell, events }: Pick<EventRoutesOptions, 'cell' | 'events'>,
) {
  let text = ''
  for (const event of found) text += `id: ${events.position(event.seq)}\ndata: ${eventJson(event, cell)}\n\n`
  return `${text}id: ${nextPosition}\n\n`
}
