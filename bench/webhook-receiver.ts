// A receiver of webhooks, in a process of its own: counts what comes, checks every hundredth signature by the package of
// Standard Webhooks, and refuses some first attempts, so that retries are part of the run. Tells its parent once a second.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

/** From the parent: the secret. To the parent: where it listens, then what has come. */
export type ReceiverPlan = { events: number; refusedEvery: number }
export type ReceiverMessage = { type: 'listening'; url: string } | ({ type: 'received' } & ReceiverReport)
export type ReceiverReport = {
  /** Events that were answered with 200, and requests of all. */
  delivered: number
  requests: number
  /** Events that came under two webhook-ids, or without one. */
  withoutStableId: number
  badSignatures: number
  /** Milliseconds from the first request to when all but the refused had been delivered; null until then. */
  firstPassMs: number | null
}

const plan = JSON.parse(process.argv[2]!) as ReceiverPlan
const ids = new Map<string, string>()
const delivered = new Set<string>()
const unstable = new Set<string>()
let requests = 0
let badSignatures = 0
let refused = 0
let startedAt: number | undefined
let firstPassMs: number | null = null
let verifier: Webhook | undefined

process.on('message', ({ secret }: { secret: string }) => {
  verifier = new Webhook(secret)
})

function statusFor(headers: Record<string, string>, body: string): number {
  startedAt ??= performance.now()
  requests++
  const event = /"id":"([^"]+)"/.exec(body)![1]!
  const id = headers['webhook-id'] ?? ''
  const known = ids.get(event)
  if (id === '' || (known ?? id) !== id) unstable.add(event)
  if (requests % 100 === 0) check(headers, body)
  if (known === undefined) {
    ids.set(event, id)
    if (ids.size % plan.refusedEvery === 0) {
      refused++
      return 500
    }
  }
  delivered.add(event)
  if (firstPassMs === null && delivered.size + refused >= plan.events) firstPassMs = performance.now() - startedAt
  return 200
}

function check(headers: Record<string, string>, body: string): void {
  try {
    verifier!.verify(body, headers, { jsonParse: false })
  } catch {
    badSignatures++
  }
}

const server = createServer((request, response) => {
  let body = ''
  request
    .setEncoding('utf8')
    .on('data', (chunk: string) => {
      body += chunk
    })
    .on('end', () => response.writeHead(statusFor(request.headers as Record<string, string>, body)).end())
})
server.keepAliveTimeout = 65_000
server.listen(0, '127.0.0.1', () => {
  tell({ type: 'listening', url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  setInterval(
    () =>
      tell({
        type: 'received',
        delivered: delivered.size,
        requests,
        withoutStableId: unstable.size,
        badSignatures,
        firstPassMs,
      }),
    500,
  )
})

const tell = (message: ReceiverMessage): void => void process.send?.(message)
process.on('disconnect', () => process.exit(0))
