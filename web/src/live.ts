// What is happening, as every cell itself says it: one stream of pulses and one of events from each, opened again when they
// break. A cell that cannot be connected to, or has said nothing for almost two seconds, is silent; what it last said stays, with its
// time. Listeners are told once a frame, however much comes in.
import { HoldfastError, type Pulse } from '@holdfast/sdk'
import { type Cell, clientOf, listCells } from './cells.ts'
import { createFrames, type Frames } from './frames.ts'
import { createFreshAudits, type FreshAudits } from './fresh-audits.ts'
import { promiseLine } from './promise-line.ts'
import { createRing, type Ring } from './ring.ts'
import { createSales, type Sales } from './sales.ts'

export const feedEventsMax = 2000
const silentAfterMs = 1800 // pulses come every second
const silenceEveryMs = 100
const backoffMs = { first: 250, max: 2000 }
const secondsKept = 120
const cellsEveryMs = 10_000

export type FeedEvent = {
  id: string
  cell: string
  type: string
  time: string
  subject: string
  data: Record<string, unknown>
}
export type Reach = 'waiting' | 'live' | 'silent'
export type CellLive = {
  cell: Cell
  reach: Reach
  heardAt: number | null
  pulse: Pulse | null
  /** It answers, but not this key; silent then. */
  refusal: HoldfastError | null
}

/** Of all cells together, of one second. A percentile of several cells is not one; p50 is their mean by orders, p99 the worst. */
export type Second = {
  at: number
  orders: number
  refused: number
  errors: number
  p50: number | null
  p99: number | null
  money: number
}

export type LiveState = { cells: readonly CellLive[]; now: number }

export type Live = {
  /** A new value whenever it changes. */
  state(): LiveState
  seconds: Ring<Second>
  feed: Ring<FeedEvent>
  sales: Sales
  audits: FreshAudits
  /** Of the state, once a second and when a cell falls silent or comes back. */
  pulses: Frames
  /** Of the feed. */
  events: Frames
  setCells(cells: readonly Cell[]): void
  start(): void
  stop(): void
}

type Kept = {
  cell: Cell
  heardAt: number | null
  pulse: Pulse | null
  /** Nobody took the last connection. */
  isGone: boolean
  refusal: HoldfastError | null
  ends: AbortController | null
}

export function createLive(key: string, first: readonly Cell[], scopes: ReadonlySet<string>): Live {
  const kept = new Map<string, Kept>()
  const positions = new Map<string, string>()
  const pulses = createFrames()
  const events = createFrames()
  const feed = createRing<FeedEvent>(feedEventsMax)
  const seconds = createRing<Second>(secondsKept)
  const sales = createSales()
  let state: LiveState = { cells: [], now: Date.now() }
  let timers: ReturnType<typeof setInterval>[] = []
  let isRunning = false
  let startedAt = Date.now()

  const reachOf = ({ heardAt, isGone, refusal }: Kept, now: number): Reach => {
    if (isGone || refusal) return 'silent'
    if (heardAt !== null && now - heardAt <= silentAfterMs) return 'live'
    return heardAt === null && now - startedAt <= silentAfterMs ? 'waiting' : 'silent'
  }

  function renew(): void {
    const now = Date.now()
    const cells = [...kept.values()].map((one) => ({
      cell: one.cell,
      reach: reachOf(one, now),
      heardAt: one.heardAt,
      pulse: one.pulse,
      refusal: one.refusal,
    }))
    state = { cells, now }
    pulses.mark()
  }

  async function* pulsesOf(one: Kept, signal: AbortSignal): AsyncGenerator<void> {
    let isHeard = false
    try {
      for await (const pulse of clientOf(one.cell, key).pulse.stream({ signal })) {
        const wasLive = reachOf(one, Date.now()) === 'live'
        isHeard = true
        one.isGone = false
        one.refusal = null
        one.heardAt = Date.now()
        one.pulse = pulse
        if (!wasLive) renew()
        yield
      }
    } catch (error) {
      // A stream that broke may have been the connection alone; that no other is to be had says more.
      if (!isHeard && error instanceof HoldfastError) {
        one.isGone = error.code === 'unreachable'
        one.refusal = error.status === 401 || error.status === 403 ? error : null
        renew()
      }
      throw error
    }
  }

  async function* eventsOf({ cell }: Kept, signal: AbortSignal): AsyncGenerator<void> {
    const client = clientOf(cell, key)
    const after = positions.get(cell.name) ?? (await client.audit({}, { signal })).position
    try {
      for await (const { position, event } of client.events.stream({ after, signal, deadlineMs: 1 })) {
        positions.set(cell.name, position)
        const { id, type, time, subject, source, data } = event
        feed.push({ id, cell: cell.name, type, time, subject, data })
        sales.add({ type, time, source, data })
        events.mark()
        yield
      }
    } catch (error) {
      // A position of a log that is no longer kept, or that went back: from the last audit on.
      if (error instanceof HoldfastError && error.status >= 400 && error.status < 500) positions.delete(cell.name)
      throw error
    }
  }

  function open(one: Kept): void {
    const ends = new AbortController()
    one.ends = ends
    void keepOpen(ends.signal, () => pulsesOf(one, ends.signal))
    if (scopes.has('events:read') && scopes.has('audit:read'))
      void keepOpen(ends.signal, () => eventsOf(one, ends.signal))
  }

  function setCells(cells: readonly Cell[]): void {
    for (const [name, { ends }] of kept) {
      if (cells.some((cell) => cell.name === name)) continue
      ends?.abort()
      kept.delete(name)
    }
    for (const cell of cells) {
      const one = kept.get(cell.name)
      if (one && one.cell.url === cell.url) {
        one.cell = cell
        continue
      }
      one?.ends?.abort()
      const fresh: Kept = { cell, heardAt: null, pulse: null, isGone: false, refusal: null, ends: null }
      kept.set(cell.name, fresh)
      if (isRunning) open(fresh)
    }
    renew()
  }

  function everySecond(): void {
    renew()
    const live = state.cells.flatMap(({ reach, pulse }) => (reach === 'live' && pulse ? [pulse] : []))
    if (live.length > 0) seconds.push(secondOf(live, state.now))
    if (scopes.has('audit:read')) audits.look(state.cells, state.now)
  }

  const audits = createFreshAudits({
    ask: () =>
      Promise.allSettled(
        state.cells.flatMap(({ cell, reach }) =>
          reach === 'live' ? [clientOf(cell, key).audit({ fresh: true })] : [],
        ),
      ),
    isSettled() {
      const line = promiseLine(auditsOf(state))
      return line?.holds === true && line.inFlight === 0 && line.missing.length === 0
    },
  })

  async function lookForCells(): Promise<void> {
    const known = [...kept.values()].map(({ cell }) => cell)
    if (!scopes.has('cells:read')) return
    setCells(await listCells(known, key))
  }

  setCells(first)
  return {
    state: () => state,
    seconds,
    feed,
    sales,
    audits,
    pulses,
    events,
    setCells,
    start() {
      if (isRunning) return
      isRunning = true
      startedAt = Date.now()
      for (const one of kept.values()) {
        one.heardAt = null
        one.isGone = false
        one.refusal = null
        open(one)
      }
      renew()
      timers = [
        setInterval(everySecond, 1000),
        setInterval(() => {
          const now = Date.now()
          const known = new Map(state.cells.map(({ cell, reach }) => [cell.name, reach]))
          if ([...kept.values()].some((one) => known.get(one.cell.name) !== reachOf(one, now))) renew()
        }, silenceEveryMs),
        setInterval(() => void lookForCells().catch(() => undefined), cellsEveryMs), // the next time is soon
      ]
    },
    stop() {
      isRunning = false
      for (const one of kept.values()) one.ends?.abort()
      for (const timer of timers) clearInterval(timer)
    },
  }
}

/** As the cells last told of them. */
export const auditsOf = ({ cells }: Pick<LiveState, 'cells'>): { cell: string; audit: Pulse['audit'] }[] =>
  cells.map(({ cell, pulse }) => ({ cell: cell.name, audit: pulse?.audit ?? null }))

/** Opens it again whenever it ends, with growing pauses, until the signal is aborted. */
async function keepOpen(signal: AbortSignal, read: () => AsyncGenerator<void>): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      for await (const _ of read()) attempt = 0
    } catch {
      // The silence of the cell shows it.
    }
    if (signal.aborted) return
    const waitMs = Math.min(backoffMs.max, backoffMs.first * 2 ** Math.min(attempt, 10))
    await new Promise((resolve) => setTimeout(resolve, waitMs * (0.5 + Math.random() / 2)))
  }
}

export function secondOf(pulses: readonly Pulse[], at: number): Second {
  const sum = (of: (pulse: Pulse) => number): number => pulses.reduce((total, pulse) => total + of(pulse), 0)
  const timed = pulses.flatMap(({ latency_ms, orders_per_s }) =>
    latency_ms.p50 !== null && latency_ms.p99 !== null
      ? [{ p50: latency_ms.p50, p99: latency_ms.p99, weight: Math.max(orders_per_s, 0.01) }]
      : [],
  )
  const weight = timed.reduce((total, one) => total + one.weight, 0)
  return {
    at,
    orders: sum(({ orders_per_s }) => orders_per_s),
    refused: sum(({ refused_per_s }) => refused_per_s),
    errors: sum(({ errors_per_s }) => errors_per_s),
    p50: timed.length === 0 ? null : timed.reduce((total, one) => total + one.p50 * one.weight, 0) / weight,
    p99: timed.length === 0 ? null : Math.max(...timed.map(({ p99 }) => p99)),
    money: sum((pulse) => mainMoney([pulse])?.amount ?? 0),
  }
}

/** The sum by currency, of the currency in which most came in. */
export function mainMoney(
  pulses: readonly Pulse[],
): { amount: number; currency: string; otherCurrencies: number } | null {
  const sums = new Map<string, number>()
  for (const { amount, currency } of pulses.flatMap(({ money_per_minute }) => money_per_minute))
    sums.set(currency, (sums.get(currency) ?? 0) + amount)
  const [most] = [...sums].sort(([, one], [, other]) => other - one)
  return most ? { currency: most[0], amount: most[1], otherCurrencies: sums.size - 1 } : null
}
