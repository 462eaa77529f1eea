// Which headers travel with a forwarded request and back with its answer: those that say who asks and for what, and all that
// was answered. Never those that belong to one connection (RFC 9110, 7.6.1).
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { limits } from '../base/limits.ts'
import type { AnswerHeaders } from '../runtime/forward.ts'

export const hopsHeader = 'holdfast-hops'
export const placedHereHeader = 'holdfast-placed-here'

const asked = [
  'authorization',
  'idempotency-key',
  'if-match',
  'if-none-match',
  'prefer',
  'accept',
  'accept-language',
  'content-type',
  'content-encoding',
  'holdfast-visitor',
  'holdfast-client-secret',
  'traceparent',
  'tracestate',
  'x-request-id',
  'last-event-id',
  'user-agent',
]

/** `isOurs`: the body is JSON of our own making. */
export function passedOn(headers: IncomingHttpHeaders, { isOurs }: { isOurs: boolean }): Record<string, string> {
  const passed: Record<string, string> = {}
  for (const name of asked) {
    const value = headers[name]
    if (value !== undefined) passed[name] = String(value)
  }
  if (!isOurs) return passed
  delete passed['content-encoding']
  return { ...passed, 'content-type': 'application/json' }
}

const ofConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export function passedBack(headers: AnswerHeaders, isDraining: boolean): OutgoingHttpHeaders {
  const passed: OutgoingHttpHeaders = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !ofConnection.has(name)) passed[name] = value
  }
  if (isDraining) passed.connection = 'close'
  return passed
}

/** A caller who asked to wait (RFC 7240) waits at the home. */
export function deadlineOf(method: string, prefer: string | undefined): number {
  if (method === 'GET' || method === 'HEAD') return limits.forwardReadMsMax
  const seconds = Number(/\bwait=(\d{1,3})\b/.exec(prefer ?? '')?.[1] ?? 0)
  return limits.forwardWriteMsMax + Math.min(seconds, limits.orderWaitSecondsMax) * 1000
}
