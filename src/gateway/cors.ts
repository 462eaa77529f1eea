// Which pages of other origins may read what this cell answers (the CORS protocol of the Fetch standard): those of the cells of its
// topology, since the control room of one talks to all, and those that the operator names. Without credentials: a key is sent by the
// page itself, and nothing here has a cookie.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Topology } from '../base/topology.ts'
import { isLoopback } from '../runtime/config.ts'

export type Cors = {
  /** Of the cells, and those that were named. */
  origins(): ReadonlySet<string>
  /** Says what the page may read of the answer to come. True: it only asked whether it may ask, and is answered. */
  answer(request: IncomingMessage, response: ServerResponse): boolean
}

const asked = 'authorization, content-type, idempotency-key, if-match, if-none-match, prefer'
const allowedHeaders = `${asked}, holdfast-visitor, holdfast-client-secret, last-event-id, traceparent, tracestate`
const named = 'holdfast-cell, holdfast-via, x-request-id, idempotent-replayed, preference-applied'
const exposedHeaders = `${named}, etag, location, retry-after, ratelimit, ratelimit-policy, deprecation, sunset, www-authenticate`

export function createCors(topology: () => Topology, more: readonly string[]): Cors {
  let seen: Topology | undefined
  let known: ReadonlySet<string> = new Set()
  const origins = (): ReadonlySet<string> => {
    const current = topology()
    if (current !== seen) known = new Set([...current.cells.flatMap(({ url }) => sameOrigins(url)), ...more])
    seen = current
    return known
  }
  return {
    origins,
    answer(request, response) {
      const { origin = '' } = request.headers
      response.setHeader('vary', 'origin')
      if (!origins().has(origin)) return false
      response.setHeader('access-control-allow-origin', origin)
      response.setHeader('access-control-expose-headers', exposedHeaders)
      if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false
      response
        .writeHead(204, {
          'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
          'access-control-allow-headers': allowedHeaders,
          'access-control-max-age': '7200', // the most that Chromium keeps
        })
        .end()
      return true
    },
  }
}

/** The names of this machine are one to whoever opens a page on it. */
function sameOrigins(url: string): string[] {
  const { origin, protocol, hostname, port } = new URL(url)
  if (!isLoopback(hostname)) return [origin]
  return [origin, ...['127.0.0.1', 'localhost', '[::1]'].map((name) => new URL(`${protocol}//${name}:${port}`).origin)]
}

/** Whether there is an Origin, looked for without making an object of all headers: few requests have one. */
export function hasOrigin({ rawHeaders }: IncomingMessage): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    if (name.length === 6 && name.toLowerCase() === 'origin') return true
  }
  return false
}
