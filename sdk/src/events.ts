// The event log as a stream (Server-Sent Events) that survives broken connections: it goes on after the last event it
// handed out, so that none is skipped. One may come twice; `event.id` tells.
import { anySignal, type Connection, cellAt, fetchAnswer, headersOf, urlOf } from './connection.ts'
import { limits } from './limits.ts'
import { readLines } from './lines.ts'
import { nearestOrigin } from './origins.ts'
import { HoldfastError, unreachable } from './problem.ts'
import { waitToRetry } from './retry.ts'

export type StreamOptions = {
  /** A position from an earlier page or stream; absent: the oldest event that is kept. */
  after?: string
  /** For example `order.*,stock.short`. */
  types?: string
  /** Whose log; by default the nearest cell's, which stays the one when it is read through another. `*`: those of all. */
  cell?: string
  signal?: AbortSignal
  /** How long it may stay broken before the stream throws; default: for ever. */
  deadlineMs?: number
}

/** Store `position` with what you did about the event, and give it as `after` when you start again. */
export type Positioned<Event> = { position: string; event: Event }

/** Endless until the signal is aborted (then it ends quietly) or the caller stops. Throws what trying again cannot mend. */
export async function* streamEvents<Event>(
  connection: Connection,
  path: string,
  options: StreamOptions,
): AsyncGenerator<Positioned<Event>> {
  const { signal, deadlineMs = Number.POSITIVE_INFINITY } = options
  const { backoff } = connection
  let position = options.after
  let { cell } = options
  let until = Date.now() + deadlineMs
  for (let attempt = 0; !signal?.aborted; attempt++) {
    try {
      const nearest = nearestOrigin(connection.origins)
      if (connection.origins.urls.length > 1) cell ??= await cellAt(connection, nearest, signal)
      for await (const message of openStream(connection, path, { ...options, cell, after: position })) {
        attempt = 0
        until = Date.now() + deadlineMs
        if (message.data !== '') yield { position: message.id, event: JSON.parse(message.data) as Event }
        position = message.id
      }
    } catch (error) {
      if (signal?.aborted) return
      if (!(error instanceof HoldfastError)) throw error
      await waitToRetry(error, { backoff, attempt, until, signal }).catch((failure) => {
        if (!signal?.aborted) throw failure
      })
    }
  }
}

/** Without data it only moves the position on, past events that were not asked for. */
type Message = { id: string; data: string }

/** One connection. Always ends by throwing, since a stream has no end of its own. */
async function* openStream(
  connection: Connection,
  path: string,
  { after, types, cell, signal }: StreamOptions,
): AsyncGenerator<Message> {
  const silence = new AbortController()
  const silent = () => silence.abort(new Error(`nothing for ${limits.streamSilenceMs} ms`))
  let timer = setTimeout(silent, limits.streamSilenceMs)
  const headers: Record<string, string> = { accept: 'text/event-stream' }
  if (after !== undefined) headers['last-event-id'] = after
  const lines = async function* () {
    const origin = nearestOrigin(connection.origins)
    const answer = await fetchAnswer(connection, origin, urlOf(origin, { path, query: { types, cell } }), {
      headers: headersOf(connection, headers),
      signal: anySignal(signal, silence.signal),
    })
    for await (const line of readLines(answer.body!)) {
      clearTimeout(timer)
      timer = setTimeout(silent, limits.streamSilenceMs)
      yield line
    }
  }
  try {
    yield* parseMessages(failuresOf(lines()))
  } finally {
    clearTimeout(timer)
  }
  throw unreachable(new Error('the stream ended'))
}

/** What breaks while reading is the network's; what the consumer of a message throws is not, and never passes here. */
async function* failuresOf(lines: AsyncGenerator<string>): AsyncGenerator<string> {
  try {
    yield* lines
  } catch (error) {
    throw error instanceof HoldfastError ? error : unreachable(error)
  }
}

/**
 * The event stream format of the HTML standard, as far as id and data go. Before the first id there is no event, and the
 * cells that a stream of all cells names as out of reach are none.
 */
async function* parseMessages(lines: AsyncIterable<string>): AsyncGenerator<Message> {
  let id = ''
  let data: string[] = []
  let isEvent = true
  for await (const line of lines) {
    if (line === '') {
      if (id !== '') yield { id, data: isEvent ? data.join('\n') : '' }
      data = []
      isEvent = true
      continue
    }
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'id') id = value
    else if (field === 'event') isEvent = value !== 'missing_cells'
    else if (field === 'data') data.push(value)
  }
}
