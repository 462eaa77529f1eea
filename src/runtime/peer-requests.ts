// One signed POST of JSON to another cell and its answer, over connections that are kept. What goes wrong is one of two things:
// the cell cannot be reached in time, or it answers and says no. Nothing is sent twice.
import type { KeyObject } from 'node:crypto'
import { Agent, type Dispatcher } from 'undici'
import type { CellName } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import type { Clock } from './clock.ts'
import type { Faults } from './faults.ts'
import { signedHeaders } from './peer-signature.ts'

/** No connection, no answer in time, or not tried since it did not answer lately. */
export class PeerUnreachable extends Error {
  override readonly name = 'PeerUnreachable'
  readonly cell: CellName
  /** False only if the request has certainly not left. */
  readonly mayHaveHappened: boolean
  /** The deadline was over, which says less than a connection that fails. */
  readonly isLate: boolean

  constructor(cell: CellName, why: string, { mayHaveHappened = false, isLate = false }) {
    super(`${cell} ${why}`)
    this.cell = cell
    this.mayHaveHappened = mayHaveHappened
    this.isLate = isLate
  }
}

/** It answered, and says no; `code` as in its problem, or `malformed_answer`. */
export class PeerRefused extends Error {
  override readonly name = 'PeerRefused'
  readonly cell: CellName
  readonly status: number
  readonly code: string

  constructor(cell: CellName, status: number, code: string) {
    super(`${cell} answers ${status} ${code}`)
    this.cell = cell
    this.status = status
    this.code = code
  }
}

export type PeerMessage = {
  cell: CellName
  /** The origin it is at. */
  url: string
  message: string
  body: Json
  deadlineMs: number
  signal?: AbortSignal | undefined
  /** Of a sampled trace. */
  traceparent?: string | undefined
}

/** The life of its database that a cell speaks in, on requests and on answers. */
export const lifeHeader = 'holdfast-life'

/** `life`: of the cell that answers. */
export type PeerAnswer = { value: Json; life: string | undefined }

export type PeerRequests = {
  /** The answer's JSON. Rejects with PeerUnreachable or PeerRefused, and with nothing else. */
  post(message: PeerMessage): Promise<PeerAnswer>
  close(): Promise<void>
}

export type PeerRequestsOptions = {
  self: CellName
  key: KeyObject
  clock: Clock
  /** The present life of this cell's database. */
  incarnation(): string
  /** For development: what a round trip takes longer than the network here does, half of it each way. */
  latencyMs?: number
  /** For development. */
  faults?: Pick<Faults, 'cutOff'> | undefined
}

export function openPeerRequests(options: PeerRequestsOptions): PeerRequests {
  const { self, key, clock, incarnation, latencyMs = 0, faults } = options
  const agent = new Agent({
    connections: limits.peerConnectionsMax,
    pipelining: 1,
    connect: { timeout: limits.peerConnectMsMax },
    keepAliveTimeout: limits.peerKeepAliveMs,
    headersTimeout: 0, // each call has a deadline of its own
    bodyTimeout: 0,
  })
  const noting = agent.compose(noteSending)
  const oneWay = (signal: AbortSignal) => (latencyMs > 0 ? clock.sleep(latencyMs / 2, signal) : undefined)

  async function exchange(
    { cell, url, message, body, traceparent }: PeerMessage,
    late: AbortSignal,
    onSending: () => void,
  ): Promise<PeerAnswer> {
    const bytes = Buffer.from(JSON.stringify(body))
    const target = `/peer/v1/${message}`
    await oneWay(late)
    late.throwIfAborted()
    const headers = {
      'content-type': 'application/json',
      [lifeHeader]: incarnation(),
      ...(traceparent === undefined ? {} : { traceparent }),
    }
    const request = { method: 'POST', target, from: self, to: cell, headers, body: bytes }
    const signed = signedHeaders(key, request, clock.now())
    const sending: Sending = {
      origin: url,
      path: target,
      method: 'POST',
      headers: { ...signed, ...headers },
      body: bytes,
      signal: late,
      onSending,
    }
    const answer = await noting.request(sending)
    const text = (await wholeOf(answer.body)).toString()
    await oneWay(late)
    late.throwIfAborted()
    const value = jsonOf(text)
    const life = lifeIn(answer.headers)
    if (answer.statusCode === 200 && value !== undefined) return { value, life }
    throw new PeerRefused(cell, answer.statusCode, codeOf(value))
  }

  return {
    async post(message) {
      const { cell, deadlineMs, signal } = message
      if (faults?.cutOff) throw new PeerUnreachable(cell, 'is cut off', {})
      const deadline = AbortSignal.timeout(Math.ceil(deadlineMs))
      let isSent = false
      const onSending = (): void => {
        isSent = true
      }
      try {
        const answer = await exchange(message, signal ? AbortSignal.any([deadline, signal]) : deadline, onSending)
        if (faults?.cutOff) throw new PeerUnreachable(cell, 'is cut off', { mayHaveHappened: true })
        return answer
      } catch (error) {
        if (error instanceof PeerRefused || error instanceof PeerUnreachable) throw error
        const why = deadline.aborted
          ? `did not answer within ${deadlineMs} ms`
          : signal?.aborted
            ? 'was not waited for any more'
            : `could not be asked: ${wordOf(error)}`
        throw new PeerUnreachable(cell, why, { mayHaveHappened: isSent, isLate: deadline.aborted })
      }
    },
    close: () => agent.destroy(),
  }
}

/** Cells of the release before say none. */
export function lifeIn(headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
  const life = headers[lifeHeader]
  return life === undefined ? undefined : String(life)
}

type Sending = Dispatcher.RequestOptions & { onSending?: () => void }

/** Tells when a request is given to its connection; until then it waits for one, and nothing has left. */
const noteSending: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) => {
  const { onSending, ...rest } = options as Dispatcher.DispatchOptions & Pick<Sending, 'onSending'>
  return dispatch(rest, {
    onRequestStart(controller, context) {
      onSending?.()
      handler.onRequestStart?.(controller, context)
    },
    onResponseStart: (...args) => handler.onResponseStart?.(...args),
    onResponseData: (...args) => handler.onResponseData?.(...args),
    onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
    onResponseError: (...args) => handler.onResponseError?.(...args),
  })
}

async function wholeOf(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    if (bytes > limits.peerAnswerBytesMax) throw new Error('the answer is too large') // leaving the loop destroys the body
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function jsonOf(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function codeOf(problem: Json | undefined): string {
  if (typeof problem !== 'object' || problem === null || Array.isArray(problem)) return 'malformed_answer'
  return typeof problem.code === 'string' ? problem.code : 'malformed_answer'
}

/** `ECONNREFUSED` and the like. */
function wordOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return String(code ?? message)
}
