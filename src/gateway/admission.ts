// The door: decides before a request is routed or its body read. Full lanes answer 503 at once; while they are full, and
// for a moment after, browsing is refused so that checkouts go first. A server that drains takes nothing new.
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { ErrorCode } from '../base/errors.ts'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { problemJson, statusOf } from '../base/problem.ts'
import { refused } from '../base/result.ts'
import type { Commands } from '../modules/orders/service.ts'
import type { Exchange } from '../runtime/http.ts'
import { type Cors, hasOrigin } from './cors.ts'

export type Door = {
  isFull: Commands['isFull']
  retryAfterSeconds: Commands['retryAfterSeconds']
  /** Milliseconds that never go back. */
  elapsedMs(): number
  nextRequestId(): string
  onRefused(code: 'overloaded' | 'draining', isPlacing: boolean): void
  cors: Pick<Cors, 'answer'>
}

/** The HTTP server with the door in front of `handler`. */
export function createDoor(handler: RequestListener, exchange: Exchange, door: Door): Server {
  let browsingResumesAt = 0
  let refusals = { tenth: 0, count: 0 }

  function isTooMuch(request: IncomingMessage): boolean {
    if (door.isFull()) {
      browsingResumesAt = door.elapsedMs() + limits.browsingPauseMs
      return true
    }
    return browsingResumesAt > 0 && request.method === 'GET' && door.elapsedMs() < browsingResumesAt
  }

  const server = createServer(
    {
      requestTimeout: limits.requestMsMax,
      headersTimeout: limits.headersMsMax,
      keepAliveTimeout: limits.keepAliveMs,
      maxHeaderSize: limits.headerBytesMax,
      connectionsCheckingInterval: 1_000,
      requireHostHeader: true,
    },
    (request, response) => {
      if (hasOrigin(request) && door.cors.answer(request, response)) return
      if (isOpenAlways(request.url!)) return handler(request, response)
      if (exchange.draining) return refuse(response, 'draining', 1)
      if (!isOfPeer(request.url!) && isTooMuch(request)) return refuseTooMuch(response)
      handler(request, response)
    },
  )

  /**
   * At once, as long as refusals are few. In a flood each is held a while, so that callers who come again at once do not
   * cost the orders that were accepted their processor: a caller waits for its answer before it asks again.
   */
  function refuseTooMuch(response: ServerResponse): void {
    const tenth = Math.floor(door.elapsedMs() / 100)
    if (tenth !== refusals.tenth) refusals = { tenth, count: 0 }
    const refuseNow = () => refuse(response, 'overloaded', door.retryAfterSeconds())
    if (++refusals.count <= limits.refusalsAtOncePerTenth) refuseNow()
    else setTimeout(() => response.destroyed || refuseNow(), limits.refusalHoldMs).unref()
  }

  function refuse(response: ServerResponse, code: 'overloaded' | 'draining', retryAfter: number): void {
    const { method, url } = response.req
    door.onRefused(code, method === 'POST' && url === '/v1/orders')
    response
      .writeHead(
        statusOf(code),
        problemHeaders(problems[code], exchange.cell, door.nextRequestId(), retryAfter, exchange.draining),
      )
      .end(problems[code])
  }

  return server
}

/** Probes, scrapers and whoever watches are answered whatever happens. */
const isOpenAlways = (url: string): boolean =>
  url === '/healthz' || url.startsWith('/readyz') || url === '/metrics' || url === '/v1/pulse'

/**
 * Peers are few and bound what they have in flight. Refused here, a busy cell would look like a dead one to them and keep its
 * events to itself; what they ask of the engine is refused by its queue like everybody else's.
 */
const isOfPeer = (url: string): boolean => url.startsWith('/peer/v1/')

const problems = {
  overloaded: problemJson(refused('overloaded')),
  draining: problemJson(refused('draining')),
} satisfies Partial<Record<ErrorCode, string>>

function problemHeaders(
  body: string,
  cell: CellName,
  requestId: string,
  retryAfter: number,
  closing: boolean,
): OutgoingHttpHeaders {
  return {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
    'holdfast-cell': cell,
    'retry-after': String(retryAfter),
    ...(closing ? { connection: 'close' } : {}),
  }
}
