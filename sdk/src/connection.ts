// One request, tried at the nearest cell that can be reached until it is answered or its deadline is over. A keyed request keeps its key over all tries,
// so that trying again can never do the thing twice.
import { learn, mayGoElsewhere, nearestOrigin, neverHappened, nextOrigin, type Origins } from './origins.ts'
import { HoldfastError, problemOf, unexpected, unreachable } from './problem.ts'
import { type Backoff, waitToRetry } from './retry.ts'

export type Connection = {
  readonly origins: Origins
  readonly key: string
  readonly fetch: typeof fetch
  readonly visitor: string | undefined
  readonly deadlineMs: number
  readonly attemptMs: number
  readonly backoff: Backoff
}

/** What came with an answer, for callers who ask. */
export type AnswerInfo = {
  status: number
  headers: Headers
  /** The key had been used with the same request before; this is what it made. */
  replayed: boolean
  /** Tries that this answer took. */
  attempts: number
}

export type CallOptions = {
  /** Of POSTs; by default a random one, kept over retries. Give your own to retry over restarts of your program. */
  idempotencyKey?: string
  signal?: AbortSignal
  deadlineMs?: number
  onAnswer?: (info: AnswerInfo) => void
}

/** Refuses with `precondition_failed` when the thing has another ETag by now. */
export type IfVersion = { ifMatch?: string }

export type ApiRequest = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  query?: Record<string, string | number | boolean | readonly string[] | undefined>
  body?: unknown
  headers?: Record<string, string>
  /** The cell in which this must run, where the request names one. */
  homeCell?: string
  /** Seconds for which the server is asked to hold its answer back; every try may take that much longer. */
  wait?: number
}

/** The answer's body; undefined where there is none. Throws HoldfastError, or the signal's reason. */
export async function call<T>(connection: Connection, request: ApiRequest, options: CallOptions = {}): Promise<T> {
  const { origins } = connection
  const headers = headersOf(connection, { ...request.headers })
  if (request.body !== undefined) headers['content-type'] = 'application/json'
  const body = request.body === undefined ? undefined : JSON.stringify(request.body)
  const waitMs = (request.wait ?? 0) * 1_000
  if (request.wait !== undefined) headers.prefer = `wait=${request.wait}`
  const until = Date.now() + (options.deadlineMs ?? connection.deadlineMs + waitMs)
  const tried = new Set<string>()
  let origin = nearestOrigin(origins)
  let mayHaveHappened = false
  for (let attempt = 0; ; attempt++) {
    try {
      const attemptMs = Math.max(1, Math.min(connection.attemptMs + waitMs, until - Date.now()))
      const signal = anySignal(options.signal, AbortSignal.timeout(attemptMs))
      if (request.method === 'POST' && !mayHaveHappened) {
        const given = options.idempotencyKey
        headers['idempotency-key'] = given ?? (await keyAt(connection, origin, { ...request, headers, signal }))
      }
      const init = { target: urlOf(origin, request), method: request.method, headers, body, signal }
      return await once<T>(connection, { origin, ...init }, { options, attempt })
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!(error instanceof HoldfastError)) throw error
      mayHaveHappened ||= !neverHappened(error)
      const elsewhere = mayGoElsewhere(error) ? nextOrigin(origins, tried.add(origin)) : undefined
      if (elsewhere !== undefined && Date.now() < until) {
        origin = elsewhere // at once, since it was not asked yet
        continue
      }
      await waitToRetry(error, { backoff: connection.backoff, attempt, until, signal: options.signal })
      tried.clear()
      origin = nearestOrigin(origins)
    }
  }
}

/** The key of the try before, as long as it names the cell that it should. */
async function keyAt(
  connection: Connection,
  origin: string,
  { homeCell, headers = {}, signal }: Pick<ApiRequest, 'homeCell' | 'headers'> & { signal: AbortSignal },
): Promise<string> {
  const cell = homeCell ?? (await cellAt(connection, origin, signal))
  const before = headers['idempotency-key']
  return before !== undefined && (cell === undefined || before.startsWith(`${cell}.`)) ? before : randomKey(cell)
}

/** Where there is another cell to turn to, a key must name one from the first try on, so the cell is asked for its name. */
export async function cellAt(
  connection: Connection,
  origin: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { urls, cells } = connection.origins
  if (urls.length > 1 && !cells.has(origin))
    await fetchAnswer(connection, origin, `${origin}/healthz`, signal ? { signal } : {})
  return cells.get(origin)
}

type Attempt = {
  origin: string
  target: string
  method: string
  headers: Record<string, string>
  body?: string
  signal: AbortSignal
}

async function once<T>(
  connection: Connection,
  { origin, target, ...init }: Attempt,
  { options, attempt }: { options: CallOptions; attempt: number },
): Promise<T> {
  const answer = await fetchAnswer(connection, origin, target, init)
  const text = await answer.text().catch((error) => {
    throw unreachable(error)
  })
  options.onAnswer?.({
    status: answer.status,
    headers: answer.headers,
    replayed: answer.headers.get('idempotent-replayed') === 'true',
    attempts: attempt + 1,
  })
  return (text === '' ? undefined : parsed(answer, text)) as T
}

function parsed(answer: Response, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw unexpected(answer, text)
  }
}

/** An answer with 2xx, its body not yet read. Throws HoldfastError for every other. */
export async function fetchAnswer(
  { fetch: ask, origins }: Connection,
  origin: string,
  target: string,
  init: RequestInit,
): Promise<Response> {
  let answer: Response
  try {
    answer = await ask(target, init)
  } catch (error) {
    origins.failedAt.set(origin, Date.now())
    throw unreachable(error)
  }
  learn(origins, origin, answer.headers)
  if (!answer.ok)
    throw await problemOf(answer).catch((error) => {
      throw unreachable(error)
    })
  return answer
}

export function headersOf(connection: Connection, more: Record<string, string>): Record<string, string> {
  const headers: Record<string, string> = { authorization: `Bearer ${connection.key}`, ...more }
  if (connection.visitor !== undefined) headers['holdfast-visitor'] = connection.visitor
  return headers
}

export function urlOf(origin: string, { path, query = {} }: Pick<ApiRequest, 'path' | 'query'>): string {
  const url = new URL(origin + path)
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(one))
  }
  return url.href
}

/** Names its home cell where that is known, so that every cell sends a retry there. */
export const randomKey = (cell: string | undefined): string =>
  cell === undefined ? randomId() : `${cell}.${randomId()}`

/** 128 random bits in hex. `crypto.randomUUID` is missing on pages without TLS. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

export function anySignal(...signals: (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined))
}

/** Of a path. */
export const segment = encodeURIComponent

export const present = (headers: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined))

/** The home cell that an id names. */
export const cellOf = (id: string | undefined): string | undefined => id?.split('_')[1]
