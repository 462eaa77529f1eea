// Our own load generator, for what wrk cannot do: offer a fixed rate whatever comes back (latency counts from the moment
// that a request was meant to be sent), and go on through the death of a server. Raw sockets, requests pipelined to a bound.
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { makeStencil, type Stencil, stamp } from './shapes.ts'

export type GeneratorPlan = {
  url: string
  connections: number
  /** Requests a connection may have open. */
  depth: number
  seconds: number
  skus: number
  /** Null: each connection sends as soon as it has been answered. */
  ratePerSecond: number | null
  /** Opens lost connections again. */
  reconnect: boolean
  pay?: { method: string; wait: boolean }
  /** Before every key: the name of its cell and a dot. */
  keyPrefix?: string
}

export type GeneratorReport = {
  seconds: number
  sent: number
  /** Meant to be sent, but every connection had its bound open, or the moment had passed. */
  unsent: number
  /** Sent and never answered. */
  lost: number
  /** By status. */
  answers: Record<string, number>
  accepted: number
  acceptedPerSecond: number
  p50Ms: number
  p99Ms: number
}

/** From the parent: watch for the first order that is accepted of those sent from now on. To the parent: it came, then. */
export type GeneratorMessage = { type: 'mark' } | { type: 'accepted'; atMs: number }

type Pipe = { socket: Socket; open: boolean; meantAt: number[]; tail: Buffer }

const latenessMsMax = 20
const reconnectMs = 20
const answersMsMax = 5_000
const statusLine = Buffer.from('HTTP/1.1 ')

const plan = JSON.parse(process.argv[2]!) as GeneratorPlan
const { hostname, port } = new URL(plan.url)
const request: Stencil = makeStencil(
  (key, body) =>
    `POST /v1/orders HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer sk_dev\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nIdempotency-Key: ${plan.keyPrefix ?? ''}${key}${plan.pay?.wait ? '\r\nPrefer: wait=20' : ''}\r\n\r\n${body}`,
  plan.pay?.method,
)
const pipes: Pipe[] = []
const answers: Record<string, number> = {}
const acceptedMs: number[] = []
let sent = 0
let unsent = 0
let lost = 0
let sending = true
let markedAt = Number.POSITIVE_INFINITY

process.on('message', (message: GeneratorMessage) => {
  if (message.type === 'mark') markedAt = performance.now()
})

function openPipe(at: number): void {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const pipe: Pipe = { socket, open: false, meantAt: [], tail: Buffer.alloc(0) }
  pipes[at] = pipe
  socket.on('connect', () => {
    pipe.open = true
    if (plan.ratePerSecond === null) send(pipe, Array(plan.depth).fill(performance.now()))
  })
  socket.on('data', (chunk: Buffer) => read(pipe, chunk))
  socket.on('error', () => {}) // 'close' follows
  socket.on('close', () => {
    pipe.open = false
    lost += pipe.meantAt.length
    pipe.meantAt = []
    if (plan.reconnect && sending) setTimeout(openPipe, reconnectMs, at)
  })
}

function send(pipe: Pipe, meantAt: readonly number[]): void {
  if (!sending || meantAt.length === 0) return
  for (const one of meantAt) pipe.meantAt.push(one)
  sent += meantAt.length
  pipe.socket.write(stamp(request, meantAt.length, plan.skus))
}

/** Counts the answers by their status lines, which no body contains; one may be cut by the end of a chunk. */
function read(pipe: Pipe, chunk: Buffer): void {
  const bytes = pipe.tail.length === 0 ? chunk : Buffer.concat([pipe.tail, chunk])
  const now = performance.now()
  let from = 0
  let count = 0
  for (;;) {
    const at = bytes.indexOf(statusLine, from)
    if (at < 0 || at + 12 > bytes.length) {
      from = at < 0 ? Math.max(from, bytes.length - statusLine.length + 1) : at
      break
    }
    from = at + 12
    count++
    note(bytes.toString('latin1', at + 9, from), pipe.meantAt[count - 1]!, now)
  }
  pipe.tail = Buffer.from(bytes.subarray(from, from + 12))
  pipe.meantAt.splice(0, count)
  if (plan.ratePerSecond === null) send(pipe, Array(count).fill(now))
}

function note(status: string, meantAt: number, now: number): void {
  answers[status] = (answers[status] ?? 0) + 1
  if (status !== '201') return
  acceptedMs.push(now - meantAt)
  if (meantAt < markedAt) return
  markedAt = Number.POSITIVE_INFINITY
  process.send?.({ type: 'accepted', atMs: performance.timeOrigin + now } satisfies GeneratorMessage)
}

/** Sends what is due, by a schedule that answers do not slow down. */
async function keepRate(perMs: number, endsAt: number): Promise<void> {
  const startedAt = performance.now()
  let scheduled = 0
  let next = 0
  for (let now = startedAt; now < endsAt; now = performance.now()) {
    const due = Math.floor((now - startedAt) * perMs)
    const inTime = Math.max(scheduled, Math.floor((now - latenessMsMax - startedAt) * perMs))
    unsent += inTime - scheduled
    scheduled = inTime
    for (let looked = 0; scheduled < due && looked < pipes.length; looked++) {
      const pipe = pipes[next++ % pipes.length]!
      const room = pipe.open ? plan.depth - pipe.meantAt.length : 0
      const count = Math.min(room, due - scheduled)
      const meantAt = Array.from({ length: count }, (_, at) => startedAt + (scheduled + at) / perMs)
      send(pipe, meantAt)
      scheduled += count
    }
    unsent += due - scheduled
    scheduled = due
    await pause(1)
  }
}

async function finish(): Promise<void> {
  sending = false
  const deadline = performance.now() + answersMsMax
  while (performance.now() < deadline && pipes.some((pipe) => pipe.meantAt.length > 0)) await pause(5)
  for (const pipe of pipes) {
    lost += pipe.meantAt.length
    pipe.meantAt = []
    pipe.socket.destroy()
  }
}

const percentile = (sorted: Float64Array, share: number): number =>
  Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2))

const startedAt = performance.now()
for (let at = 0; at < plan.connections; at++) openPipe(at)
if (plan.ratePerSecond === null) await pause(plan.seconds * 1000)
else await keepRate(plan.ratePerSecond / 1000, startedAt + plan.seconds * 1000)
const acceptedInTime = acceptedMs.length
const seconds = (performance.now() - startedAt) / 1000
await finish()
const sorted = Float64Array.from(acceptedMs).sort()
const report: GeneratorReport = {
  seconds,
  sent,
  unsent,
  lost,
  answers,
  accepted: acceptedMs.length,
  acceptedPerSecond: acceptedInTime / seconds,
  p50Ms: percentile(sorted, 0.5),
  p99Ms: percentile(sorted, 0.99),
}
process.stdout.write(`${JSON.stringify(report)}\n`)
process.disconnect?.()
