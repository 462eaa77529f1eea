// A wide area on one machine: whoever is in it is reached by the others only through listeners of ours, which delay, throttle,
// swallow and cut, each direction of each pair by itself. Cells share one address for each of them, as the topology has it: who
// connects is told by the header that cells sign. Needs no root. A connection takes a round trip to be made, as TCP does.
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * `silent`: what is sent is swallowed while connections stand, as when packets are lost; those that have lost something end when
 * it is over. `cut`: connections end at once, and new ones too.
 */
export type Passage = 'open' | 'silent' | 'cut'
/** From one to the other, whoever of the two has connected. Infinity: as much as the machine can. */
export type Way = { passage: Passage; delayMs: number; bytesPerSecond: number }

export type WideArea = {
  /** Where the others reach `to`: whoever says in the first request of a connection who he is. */
  open(to: string): Promise<string>
  /** The same for one who does not say it. */
  openFor(from: string, to: string): Promise<string>
  /** Where `to` listens now. */
  place(to: string, port: number): void
  way(from: string, to: string): Readonly<Way>
  change(from: string, to: string, change: Partial<Way>): void
  /** All ways as they were at first. */
  heal(): void
  /** Bytes that have arrived. */
  carried(from: string, to: string): number
  stop(): Promise<void>
}

const queuedBytesMax = 1024 * 1024 // on its way in one direction of a connection; more is not taken in
const headBytesMax = 64 * 1024

type Connection = { from: string; to: string; hasLost: boolean; end(): void }

/** What each way is like now, and what it has carried. */
function rememberWays(roundTripMs: (from: string, to: string) => number) {
  const ways = new Map<string, Way>()
  const bytes = new Map<string, number>()
  const named = (from: string, to: string): string => `${from} ${to}`
  const atFirst = (from: string, to: string): Way => ({
    passage: 'open',
    delayMs: roundTripMs(from, to) / 2,
    bytesPerSecond: Number.POSITIVE_INFINITY,
  })
  const counted = (from: string, to: string): number => bytes.get(named(from, to)) ?? 0
  return {
    atFirst,
    of(from: string, to: string): Way {
      const way = ways.get(named(from, to)) ?? atFirst(from, to)
      ways.set(named(from, to), way)
      return way
    },
    all: () => [...ways.keys()].map((name) => name.split(' ') as [string, string]),
    count: (from: string, to: string, more: number): void => void bytes.set(named(from, to), counted(from, to) + more),
    counted,
  }
}

/** `roundTripMs` between two names, half of it each way. */
export function openWideArea(roundTripMs: (from: string, to: string) => number): WideArea {
  const ports = new Map<string, number>()
  const ways = rememberWays(roundTripMs)
  const connections = new Set<Connection>()
  const sockets = new Set<Socket>()
  const servers: Server[] = []
  const isOn = ({ from, to }: Connection, a: string, b: string): boolean =>
    (from === a && to === b) || (from === b && to === a)

  function change(from: string, to: string, changed: Partial<Way>): void {
    const way = Object.assign(ways.of(from, to), changed)
    for (const one of [...connections].filter((connection) => isOn(connection, from, to))) {
      if (way.passage === 'cut' || (way.passage === 'open' && one.hasLost)) one.end()
    }
  }

  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  }

  /** Carries bytes both ways between whoever has connected and the one behind the address. */
  function join(near: Socket, from: string, to: string, first: Buffer): void {
    if (ways.of(from, to).passage === 'cut' || ways.of(to, from).passage === 'cut') return void near.destroy()
    const far = keep(connect({ host: '127.0.0.1', port: ports.get(to) ?? 0 }))
    const connection: Connection = {
      ...{ from, to, hasLost: false },
      end() {
        connections.delete(connection)
        near.destroy()
        far.destroy()
      },
    }
    connections.add(connection)
    const direction = (a: string, b: string) => ({
      way: ways.of(a, b),
      onLost: () => {
        connection.hasLost = true
      },
      onArrived: (count: number) => ways.count(a, b, count),
    })
    const connectMs = ways.of(from, to).delayMs + ways.of(to, from).delayMs
    const there = carry(near, far, { ...direction(from, to), connectMs })
    carry(far, near, { ...direction(to, from), connectMs: 0 })
    there(first)
    for (const socket of [near, far])
      socket.on('close', () => near.destroyed && far.destroyed && connections.delete(connection))
  }

  async function listen(to: string, from: string | undefined): Promise<string> {
    const server = createServer({ noDelay: true }, (near) => {
      keep(near)
      if (from !== undefined) return join(near, from, to, Buffer.alloc(0))
      whoSends(near, (sender, first) => join(near, sender, to, first))
    })
    servers.push(server)
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  return {
    open: (to) => listen(to, undefined),
    openFor: (from, to) => listen(to, from),
    place: (to, port) => void ports.set(to, port),
    way: ways.of,
    change,
    heal() {
      for (const [from, to] of ways.all()) change(from, to, ways.atFirst(from, to))
    },
    carried: ways.counted,
    async stop() {
      for (const socket of sockets) socket.destroy()
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

/** Reads no more than the head of the first request. Someone who does not say who he is is a client. */
function whoSends(near: Socket, tell: (sender: string, first: Buffer) => void): void {
  let head = Buffer.alloc(0)
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    if (head.length > headBytesMax) return void near.destroy()
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    near.off('data', onData)
    tell(/^holdfast-from: *(\S+)/im.exec(head.toString('latin1', 0, end))?.[1] ?? 'client', head)
  }
  near.on('data', onData)
}

type Direction = { way: Readonly<Way>; connectMs: number; onLost(): void; onArrived(count: number): void }
/** Null ends the connection, when what was sent before has arrived. */
type Sent = { chunk: Buffer | null; dueMs: number }

/** One direction of a connection, in order. Answers what puts the first bytes on their way. */
function carry(from: Socket, to: Socket, { way, connectMs, onLost, onArrived }: Direction) {
  const queue: Sent[] = []
  let queuedBytes = 0
  let freeMs = 0 // when the way is through with what was sent before
  let moreMs = connectMs // for the first bytes
  let isWaiting = false

  function send(chunk: Buffer | null): void {
    if (chunk?.length === 0) return
    if (way.passage !== 'open') return void onLost()
    freeMs = Math.max(freeMs, performance.now()) + ((chunk?.length ?? 0) / way.bytesPerSecond) * 1000
    queue.push({ chunk, dueMs: Math.max(queue.at(-1)?.dueMs ?? 0, freeMs + way.delayMs + moreMs) })
    moreMs = 0
    queuedBytes += chunk?.length ?? 0
    if (queuedBytes + to.writableLength > queuedBytesMax) from.pause()
    if (!isWaiting) waitForFirst()
  }

  function waitForFirst(): void {
    isWaiting = queue.length > 0
    if (isWaiting) setTimeout(arrive, Math.max(0, queue[0]!.dueMs - performance.now()))
  }

  function arrive(): void {
    while (queue.length > 0 && queue[0]!.dueMs <= performance.now() + 0.5) {
      const { chunk } = queue.shift()!
      if (way.passage !== 'open') onLost()
      else if (chunk === null) to.end()
      else if (to.writable) {
        to.write(chunk)
        onArrived(chunk.length)
      }
      queuedBytes -= chunk?.length ?? 0
    }
    goOn()
    waitForFirst()
  }

  const goOn = (): void => {
    if (from.isPaused() && queuedBytes + to.writableLength <= queuedBytesMax / 2) from.resume()
  }
  from.on('data', send)
  from.on('close', () => send(null))
  to.on('drain', goOn)
  return send
}
