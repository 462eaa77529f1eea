// What stands before each cell as its address, as a balancer would: it passes everything on as it is. Once it plays, streams of
// events are its own: events that the cell has had, again and again, each with an id and the time of now, in the cell's own format and
// as often as its log is looked at, so that a page is sent more than orders for it could be made on the same machine.
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as requestOf, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { limits } from '../src/base/limits.ts'

/** As `GET /v1/events` tells it. */
export type CellEvent = { id: string; time: string; [name: string]: unknown }

export type Fronts = {
  open(cell: string): Promise<string>
  place(cell: string, port: number): void
  /** From the next stream on: so many a second on each. */
  play(events: ReadonlyMap<string, readonly CellEvent[]>, perSecond: number): void
  stop(): Promise<void>
}

export function openFronts(): Fronts {
  const ports = new Map<string, number>()
  const servers: ReturnType<typeof createServer>[] = []
  let played: { events: ReadonlyMap<string, readonly CellEvent[]>; perSecond: number } | undefined

  const answer = (cell: string) => (request: IncomingMessage, response: ServerResponse) => {
    const isStream = request.method === 'GET' && request.headers.accept === 'text/event-stream'
    const events = played?.events.get(cell)
    if (played && events && isStream && request.url!.split('?', 1)[0] === '/v1/events')
      playTo(request, response, { cell, events, perSecond: played.perSecond })
    else passOn(request, response, ports.get(cell)!)
  }

  return {
    async open(cell) {
      const server = createServer(answer(cell)).listen(0, '127.0.0.1')
      servers.push(server)
      await once(server, 'listening')
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    },
    place: (cell, port) => void ports.set(cell, port),
    play(events, perSecond) {
      played = { events, perSecond }
    },
    async stop() {
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
    },
  }
}

function passOn(request: IncomingMessage, response: ServerResponse, port: number): void {
  const { method, url: path, headers } = request
  const onward = requestOf({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode!, answer.headers)
    response.flushHeaders() // those of a stream do not wait for its first byte
    answer.on('error', () => response.destroy()).pipe(response)
  })
  onward.on('error', () => response.destroy())
  response.on('close', () => onward.destroy())
  request.pipe(onward)
}

type Played = { cell: string; events: readonly CellEvent[]; perSecond: number }

/** By a schedule: what a reader who is slow leaves unread comes as soon as there is room, as it does from a log. */
function playTo(request: IncomingMessage, response: ServerResponse, { cell, events, perSecond }: Played): void {
  const { origin } = request.headers
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'holdfast-cell': cell,
    ...(origin && { 'access-control-allow-origin': origin, vary: 'origin' }),
  })
  response.write(': live\n\n')
  const startedAt = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    if (response.writableNeedDrain) return
    const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1000)
    const time = new Date().toISOString()
    let text = ''
    for (const until = Math.min(due, sent + limits.eventPageMax); sent < until; sent++) {
      const event: CellEvent = { ...events[sent % events.length]!, id: crypto.randomUUID(), time }
      text += `id: ${sent}\ndata: ${JSON.stringify(event)}\n\n`
    }
    if (text !== '') response.write(`${text}id: ${sent - 1}\n\n`)
  }, limits.logPokeMsMin)
  response.on('close', () => clearInterval(timer))
}
