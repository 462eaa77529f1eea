// Bulk calls: an endless source of lines in, an answer for each out, in the same order. At most a few batches are held, so
// a slow server slows the source and a slow caller slows both. What a broken connection left unanswered is sent again
// under the same keys, which is harmless.
import { anySignal, type Connection, cellAt, fetchAnswer, headersOf, randomKey, urlOf } from './connection.ts'
import { limits } from './limits.ts'
import { readLines } from './lines.ts'
import { nearestOrigin } from './origins.ts'
import { HoldfastError, mayRetry, type Problem, unreachable } from './problem.ts'
import { backoffMs, sleep, waitToRetry } from './retry.ts'

export type BulkOptions = {
  /** Batches on their way at once; default 2. */
  inFlight?: number
  /** Lines a batch; default 500. */
  batchLines?: number
  /** How long a batch may go without one more answer; default as for single calls. */
  deadlineMs?: number
  signal?: AbortSignal
}

export type BulkAnswer = { status: number; problem?: Problem }
/** An answer beside what it answers. */
export type Answered<Item, Answer> = Answer & { item: Item & { idempotency_key: string } }

type Source<Item> = AsyncIterable<Item> | Iterable<Item>
type Line<Item> = { item: Item & { idempotency_key: string }; text: string }
type Route = { connection: Connection; path: string }

export async function* bulk<Item extends { idempotency_key?: string }, Answer extends BulkAnswer>(
  route: Route,
  items: Source<Item>,
  options: BulkOptions = {},
): AsyncGenerator<Answered<Item, Answer>> {
  const stop = new AbortController()
  const signal = anySignal(options.signal, stop.signal)
  const { origins } = route.connection
  const nearest = nearestOrigin(origins)
  await cellAt(route.connection, nearest, signal).catch(() => undefined) // out of reach: the batches will tell
  const line = (item: Item): Line<Item> => {
    const keyed = { ...item, idempotency_key: item.idempotency_key ?? randomKey(origins.cells.get(nearest)) }
    return { item: keyed, text: `${JSON.stringify(keyed)}\n` }
  }
  const source = batches(items, line, options.batchLines ?? limits.bulkBatchLines)
  const running: Promise<Answered<Item, Answer>[]>[] = []
  let next = handled(source.next())
  let ended = false
  try {
    while (!ended || running.length > 0) {
      const hasRoom = !ended && running.length < (options.inFlight ?? limits.bulkInFlight)
      if (running.length > 0 && (!hasRoom || (await isFirst(running[0]!, next)))) {
        yield* await running.shift()!
        continue
      }
      const batch = await next
      ended = batch.done === true
      if (batch.done) continue
      running.push(handled(sendBatch<Item, Answer>(route, batch.value, { ...options, signal })))
      next = handled(source.next())
    }
  } finally {
    stop.abort(new Error('the caller stopped reading'))
    handled(source.return([])) // not awaited: a source that never goes on must not hold its reader
  }
}

/** The same promise, which is awaited when its turn comes: until then a failure is not unhandled. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** True when `one` is settled no later than `other`. */
const isFirst = (one: Promise<unknown>, other: Promise<unknown>): Promise<boolean> => {
  const settled = (promise: Promise<unknown>, value: boolean) =>
    promise.then(
      () => value,
      () => value,
    )
  return Promise.race([settled(one, true), settled(other, false)])
}

/** Sends until every line has an answer that stands, or `deadlineMs` passes without one more. */
async function sendBatch<Item, Answer extends BulkAnswer>(
  route: Route,
  lines: Line<Item>[],
  options: BulkOptions & { signal: AbortSignal },
): Promise<Answered<Item, Answer>[]> {
  const { backoff } = route.connection
  const { signal, deadlineMs = route.connection.deadlineMs } = options
  const answers = new Map<Line<Item>, Answer>()
  let open = lines
  let until = Date.now() + deadlineMs
  for (let attempt = 0; ; attempt++) {
    const broken = await sendOnce(route, open, signal, (line, answer: Answer) => answers.set(line, answer))
    signal.throwIfAborted()
    const left = open.filter((line) => mayChange(answers.get(line)))
    if (left.length < open.length) {
      until = Date.now() + deadlineMs
      attempt = 0
    }
    open = left
    const wait = backoffMs(backoff, attempt)
    if (broken !== undefined && open.length > 0) await waitToRetry(broken, { backoff, attempt, until, signal })
    else if (open.length > 0 && Date.now() + wait < until) await sleep(wait, signal)
    else return lines.map((line) => ({ ...answers.get(line)!, item: line.item })) // past the deadline, with the last refusals
  }
}

/** No answer yet, or one that says "not now". */
const mayChange = (answer: BulkAnswer | undefined): boolean =>
  answer === undefined || mayRetry({ status: answer.status, code: answer.problem?.code ?? '' })

/** One request. Answers what ended it before every line had its answer. */
async function sendOnce<Item, Answer>(
  { connection, path }: Route,
  lines: Line<Item>[],
  signal: AbortSignal,
  onAnswer: (line: Line<Item>, answer: Answer) => void,
): Promise<HoldfastError | undefined> {
  const silence = new AbortController()
  const silent = () => silence.abort(new Error(`no answer for ${connection.attemptMs} ms`))
  let timer = setTimeout(silent, connection.attemptMs)
  let answered = 0
  try {
    const origin = nearestOrigin(connection.origins)
    const answer = await fetchAnswer(connection, origin, urlOf(origin, { path }), {
      method: 'POST',
      headers: headersOf(connection, { 'content-type': 'application/x-ndjson', accept: 'application/x-ndjson' }),
      body: lines.map((line) => line.text).join(''),
      signal: anySignal(signal, silence.signal),
    })
    for await (const text of readLines(answer.body!)) {
      onAnswer(lines[answered++]!, JSON.parse(text) as Answer)
      if (answered === lines.length) return undefined
      clearTimeout(timer)
      timer = setTimeout(silent, connection.attemptMs)
    }
  } catch (error) {
    return error instanceof HoldfastError ? error : unreachable(error)
  } finally {
    clearTimeout(timer)
  }
  return unreachable(new Error(`${lines.length - answered} of ${lines.length} lines had no answer`))
}

/** Groups of lines, bounded in count and size; a source that pauses does not keep its last ones waiting. */
async function* batches<Item>(
  items: Source<Item>,
  line: (item: Item) => Line<Item>,
  linesMax: number,
): AsyncGenerator<Line<Item>[]> {
  const source = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let batch: Line<Item>[] = []
  let characters = 0
  let ended = false
  try {
    while (!ended) {
      const next = Promise.resolve(source.next())
      if (batch.length > 0 && (await isSlow(next))) {
        yield batch
        batch = []
        characters = 0
      }
      const { done, value } = await next
      if (done) ended = true
      else characters += batch[batch.push(line(value)) - 1]!.text.length
      if (batch.length > 0 && (ended || batch.length >= linesMax || characters >= limits.bulkBatchCharacters)) {
        yield batch
        batch = []
        characters = 0
      }
    }
  } finally {
    if (!ended) await source.return?.()
  }
}

/** True when the promise is still open after `bulkGatherMs`. */
async function isSlow(promise: Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), limits.bulkGatherMs)
  })
  try {
    return await Promise.race([promise.then(() => false as const), late])
  } finally {
    clearTimeout(timer)
  }
}
