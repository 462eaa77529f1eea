// Requests to URLs that strangers gave us: kept-alive connections, one time-out over everything, no redirects, and a few KiB
// of the answer. Addresses are judged where the connection is made, so that a name that leads elsewhere later does not help.
import { lookup as lookUp } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { Agent, buildConnector } from 'undici'
import { limits } from '../base/limits.ts'
import { isPublicAddress } from './public-address.ts'

export type OutboundRequest = { url: string; headers: Record<string, string>; body: string }

/** `answer` is at most webhookAnswerBytesMax of the body. Without an answer `status` is null and `error` a short word for why. */
export type OutboundAnswer = {
  status: number | null
  answer: string
  error: string | null
  retryAfterMs: number | undefined
}

export type Outbound = {
  /** POST. Never rejects: what goes wrong is an answer too. */
  post(request: OutboundRequest): Promise<OutboundAnswer>
  close(): Promise<void>
}

/** `resolve` stands in for the system's look-up of names in tests; `timeoutMs` and `lets` likewise. */
export type OutboundOptions = {
  publicOnly: boolean
  timeoutMs?: number
  resolve?: LookupFunction
  /** Which addresses may be connected to when publicOnly holds. */
  lets?: (address: string) => boolean
}

class ForbiddenAddress extends Error {
  readonly code = 'address_not_allowed'
}

export function openOutbound(options: OutboundOptions): Outbound {
  const { timeoutMs = limits.webhookRequestMsMax } = options
  const agent = new Agent({
    connect: options.publicOnly ? guardedConnector(options, timeoutMs) : connectorOf(timeoutMs, options.resolve),
    connections: limits.webhookInFlightMax,
    pipelining: 1,
    keepAliveTimeout: limits.webhookKeepAliveMs,
    maxResponseSize: -1,
  })

  async function send({ url, headers, body }: OutboundRequest, signal: AbortSignal): Promise<OutboundAnswer> {
    const { origin, pathname, search } = new URL(url)
    const answer = await agent.request({ origin, path: pathname + search, method: 'POST', headers, body, signal })
    const text = await beginningOf(answer.body)
    const retryAfterMs = secondsOf(answer.headers['retry-after'])
    return { status: answer.statusCode, answer: text, error: null, retryAfterMs }
  }

  return {
    async post(request) {
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(), timeoutMs)
      try {
        return await send(request, late.signal)
      } catch (error) {
        return {
          status: null,
          answer: '',
          error: late.signal.aborted ? 'timeout' : wordOf(error),
          retryAfterMs: undefined,
        }
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => agent.destroy(),
  }
}

const connectorOf = (timeout: number, lookup: LookupFunction | undefined) =>
  buildConnector({ timeout, allowH2: false, ...(lookup ? { lookup } : {}) } as buildConnector.BuildOptions)

/** Refuses literal addresses before, names at their look-up, and once more what the socket is really connected to. */
function guardedConnector(
  { resolve = lookUp as LookupFunction, lets = isPublicAddress }: OutboundOptions,
  timeoutMs: number,
): buildConnector.connector {
  const guardedLookup: LookupFunction = (host, options, done) =>
    resolve(host, { ...options, all: true }, (error, found) => {
      const all = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : (found ?? [])
      if (error) done(error, [])
      else if (all.length === 0 || all.some(({ address }) => !lets(address))) done(new ForbiddenAddress(host), [])
      else if (options.all) done(null, all)
      else done(null, all[0]!.address, all[0]!.family)
    })
  const connect = connectorOf(timeoutMs, guardedLookup)
  return (options, done) => {
    const literal = options.hostname.replace(/^\[|\]$/g, '')
    if (isIP(literal) !== 0 && !lets(literal)) return done(new ForbiddenAddress(literal), null)
    connect(options, (...[error, socket]: [Error, null] | [null, Socket]) => {
      if (error) return done(error, null)
      if (lets(socket.remoteAddress ?? '')) return done(null, socket)
      socket.destroy()
      done(new ForbiddenAddress(options.hostname), null)
    })
  }
}

/** Text of the first bytes; what follows them is not read, and its connection is given up. NUL is nothing PostgreSQL keeps. */
async function beginningOf(body: AsyncIterable<Buffer> & { destroy(): unknown }): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of body) {
    parts.push(part.subarray(0, limits.webhookAnswerBytesMax - bytes))
    bytes += part.length
    if (bytes > limits.webhookAnswerBytesMax) break // leaving the loop destroys the body
  }
  return Buffer.concat(parts).toString().replaceAll('\0', '\ufffd')
}

function secondsOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined
}

/** `ECONNREFUSED`, `CERT_HAS_EXPIRED`, `address_not_allowed` …; a message of another's making is not shown. */
function wordOf(error: unknown): string {
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown[] }
  if (typeof code === 'string') return code
  if (errors?.[0]) return wordOf(errors[0])
  return cause ? wordOf(cause) : 'failed'
}
