// GET /v1/events?cell=*: the logs of all cells as pages or a stream, each read from its own place in a vector. A cell that is out
// of reach keeps its place, so that nothing of it is skipped, and is named.
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { accepted, type Outcome, type Refused, refused } from '../base/result.ts'
import { toRfc3339 } from '../base/time.ts'
import { eventJson } from '../modules/orders/service.ts'
import type { EventFilter } from '../runtime/event-log.ts'
import type { LogReader } from '../runtime/logreader.ts'
import { formatVector, type PositionVector, parseVector } from '../runtime/position.ts'

export type EventsElsewhere = {
  others(): readonly CellName[]
  /** Asked in the caller's name. Undefined: out of reach, or no answer begun within `deadlineMs`. */
  fetchJson(
    request: FastifyRequest,
    cell: CellName,
    path: string,
    deadlineMs: number,
  ): Promise<{ status: number; text: string } | undefined>
}

type Options = { cell: CellName; events: Pick<LogReader, 'page'>; elsewhere: EventsElsewhere | null }
type Query = { after: string | undefined; limit: number | undefined }

/** A cell's page; each event is JSON text beside its time. */
export type CellPage = { cell: CellName; events: { time: string; text: string }[]; nextPosition: string }

type PageOfAll = { texts: string[]; next: PositionVector; missing: CellName[] }

/** Refused: `cursor_invalid`, `position_expired`. */
export async function pageOfAll(
  { cell: self, events, elsewhere }: Options,
  request: FastifyRequest,
  wanted: EventFilter & Query,
): Promise<Outcome<PageOfAll>> {
  const after = wanted.after ? parseVector(wanted.after) : new Map<CellName, string>()
  if (!after) return refused('cursor_invalid')
  const cells = [self, ...(elsewhere?.others() ?? [])]
  const limit = wanted.limit ?? limits.listLimitDefault
  const share = Math.max(1, Math.floor(limit / cells.length))

  async function ownPage(): Promise<CellPage | Refused> {
    const found = await events.page({ ...wanted, after: after!.get(self), limit: share })
    if (!found.ok) return found
    const told = found.value.events.map((event) => ({ time: toRfc3339(event.at), text: eventJson(event, self) }))
    return { cell: self, events: told, nextPosition: found.value.nextPosition }
  }

  const { types } = request.query as { types?: string }
  const pages = await Promise.all(
    cells.map((cell) =>
      cell === self ? ownPage() : pageOf(elsewhere!, request, { cell, types, after: after.get(cell), limit: share }),
    ),
  )
  const refusal = pages.find((page) => page !== undefined && 'code' in page)
  if (refusal) return refusal as Refused
  const found = pages.filter((page) => page !== undefined) as CellPage[]
  const missing = cells.filter((_, at) => pages[at] === undefined)
  return accepted({ ...merged(found, { after, cells, limit }), missing })
}

/**
 * The text of a stream from its first page on, until the signal aborts or a place in it is refused; the caller resumes then and is
 * told. An event has the vector before its page, so that a resumed stream may tell some again and leaves none out.
 */
export async function* streamOfAll(
  options: Options,
  request: FastifyRequest,
  {
    first,
    after,
    signal,
    ...filter
  }: EventFilter & { first: PageOfAll; after: string | undefined; signal: AbortSignal },
): AsyncGenerator<string> {
  let before = after || formatVector(new Map())
  let missing = ''
  for (let page = first; ; ) {
    const next = formatVector(page.next)
    const named = JSON.stringify(page.missing)
    if (named !== missing && (page.missing.length > 0 || missing !== ''))
      yield `event: missing_cells\ndata: ${named}\n\n`
    missing = named
    if (next !== before) yield `${page.texts.map((text) => `id: ${before}\ndata: ${text}\n\n`).join('')}id: ${next}\n\n`
    before = next
    if (page.texts.length === 0) await delay(limits.eventsOfAllEveryMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    const found = await pageOfAll(options, request, { ...filter, after: before, limit: limits.listLimitMax })
    if (!found.ok) return
    page = found.value
  }
}

type Asked = { cell: CellName; types: string | undefined; after: string | undefined; limit: number }

/** Of another cell; undefined when it cannot say now. */
async function pageOf(
  elsewhere: EventsElsewhere,
  request: FastifyRequest,
  { cell, types, after, limit }: Asked,
): Promise<CellPage | Refused | undefined> {
  const query = new URLSearchParams({ limit: String(limit), ...(types ? { types } : {}), ...(after ? { after } : {}) })
  const answer = await elsewhere.fetchJson(request, cell, `/v1/events?${query}`, limits.eventsOfAllMsMax)
  const code = answer && answer.status !== 200 ? codeIn(answer.text) : undefined
  if (code === 'position_expired' || code === 'cursor_invalid') return refused(code, `In the cell ${cell}.`)
  if (answer?.status !== 200) return undefined // also a key that it does not know yet, or a cell that has just left
  const { data, next_position: nextPosition } = JSON.parse(answer.text) as {
    data: { time: string }[]
    next_position: string
  }
  return { cell, events: data.map((event) => ({ time: event.time, text: JSON.stringify(event) })), nextPosition }
}

const codeIn = (text: string): unknown => (JSON.parse(text) as { code?: unknown }).code

/**
 * The oldest first, as far as clocks agree; those of one cell stay in their order. Where not every cell's page has room, as with
 * more cells than events are wanted, a page is left out as a whole and comes the next time.
 */
export function merged(
  pages: readonly CellPage[],
  { after, cells, limit }: { after: PositionVector; cells: readonly CellName[]; limit: number },
): { texts: string[]; next: PositionVector } {
  const next = new Map([...after].filter(([cell]) => cells.includes(cell)))
  const taken: CellPage['events'][] = []
  let room = limit
  for (const page of [...pages].sort(byFirst)) {
    if (page.events.length > room) continue
    room -= page.events.length
    taken.push([...page.events])
    next.set(page.cell, page.nextPosition)
  }
  const texts: string[] = []
  for (let left = limit - room; left > 0; left--) {
    const oldest = taken.filter((events) => events.length > 0).reduce((a, b) => (b[0]!.time < a[0]!.time ? b : a))
    texts.push(oldest.shift()!.text)
  }
  return { texts, next }
}

const byFirst = (a: CellPage, b: CellPage): number => ((a.events[0]?.time ?? '') < (b.events[0]?.time ?? '') ? -1 : 1)

export const pageJson = ({ texts, next, missing }: PageOfAll): string =>
  `{"data":[${texts.join(',')}],"next_position":"${formatVector(next)}","missing_cells":${JSON.stringify(missing)}}`
