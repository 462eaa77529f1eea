// Callers who wait for their order (`Prefer: wait=5`, RFC 7240) until nothing of its payment is under way. They are told by
// this process's own batches, and of what other processes settle by the event log; a slow look at the tables is there for
// whatever is missed. Without waiters it costs nothing.
import { parseWireId, type ShopId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { LogEvent } from '../../runtime/event-log.ts'
import type { LogReader } from '../../runtime/logreader.ts'
import { isUnderWay } from './money.ts'
import type { ReadOrder } from './reads.ts'
import type { CommandOutcome, Order } from './types.ts'

type Watcher = {
  shopId: ShopId
  orderId: Uuid
  /** As last seen, by whatever way. */
  latest: Order | null
  /** Whether the tables have been due for a look before: what settles at once never asks them. */
  isOld: boolean
  wake(): void
}

export type Watch = {
  /** The order as it is when it has settled, or when the time is over, the caller is gone, or the server drains. */
  settled(order: Order, caller: Caller): Promise<Order>
  /** To be called in any case. */
  end(): void
  readonly seconds: number
}
/** The answer to be written, which closes when its caller is gone. */
type Caller = {
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
  off(event: 'close', listener: () => void): unknown
}

export type Waiting = ReturnType<typeof createWaiting>

/** It has left `pending`, or no attempt to pay is under way. */
export const isSettled = ({ status, life }: Pick<Order, 'status' | 'life'>): boolean =>
  status !== 'pending' || life === null || !life.payments.some(isUnderWay)

/** What an order settles by, as a rule. */
const settlingTypes = {
  names: new Set([
    'order.confirmed',
    'order.cancelled',
    'order.in_review',
    'payment.failed',
    'payment.voided',
    'payment.requires_action',
  ]),
  nouns: new Set<string>(),
}

type HeardLog = Pick<LogReader, 'attend' | 'beyond' | 'read' | 'horizon'>

export function createWaiting(readOrder: ReadOrder, log?: HeardLog) {
  const watchers = new Map<Uuid, Set<Watcher>>()
  const over = new AbortController()
  let count = 0
  let willLook = false
  let isListening = false

  function add(watcher: Watcher): void {
    const others = watchers.get(watcher.orderId)
    if (others) others.add(watcher)
    else watchers.set(watcher.orderId, new Set([watcher]))
    count++
    if (log && !isListening) void listen(log)
    if (willLook) return
    willLook = true
    setTimeout(look, limits.orderPollMs).unref()
  }

  function remove(watcher: Watcher): void {
    const all = watchers.get(watcher.orderId)
    if (!all?.delete(watcher)) return
    if (all.size === 0) watchers.delete(watcher.orderId)
    count--
  }

  function see(order: Order): void {
    for (const watcher of watchers.get(order.id) ?? []) {
      if (watcher.latest === null || watcher.latest.version < order.version) watcher.latest = order
      if (isSettled(watcher.latest)) watcher.wake()
    }
  }

  /** For as long as anybody waits. When it cannot, the slow look is left. */
  async function listen(log: HeardLog): Promise<void> {
    isListening = true
    const leave = log.attend()
    try {
      for (let seq = log.horizon; count > 0 && !over.signal.aborted; ) {
        await log.beyond(seq, over.signal)
        if (log.horizon <= seq) return // the log ends here, or begins anew
        const page = await log.read(seq, { types: settlingTypes }, limits.eventPageMax)
        if (page === 'expired') return
        await Promise.all(page.events.map(hear))
        seq = page.seq
      }
    } catch {
      // The database is away.
    } finally {
      leave()
      isListening = false
    }
  }

  /** Of an order in a version that nobody here has seen. */
  async function hear({ shopId, subject, subjectVersion }: LogEvent): Promise<void> {
    const orderId = parseWireId(subject)?.uuid
    const all = orderId && watchers.get(orderId)
    if (!all || [...all].every(({ latest }) => latest !== null && latest.version >= subjectVersion)) return
    const order = await readOrder(shopId as ShopId, orderId)
    if (order) see(order)
  }

  /** One read of all that were there at the last look already. A database that is gone is asked again at the next. */
  async function look(): Promise<void> {
    const old: Watcher[] = []
    for (const [first, ...others] of watchers.values()) {
      const all = [first!, ...others]
      if (all.some((watcher) => watcher.isOld)) old.push(first!)
      for (const watcher of all) watcher.isOld = true
    }
    const found = await Promise.all(old.map(({ shopId, orderId }) => readOrder(shopId, orderId).catch(() => undefined)))
    for (const order of found) if (order) see(order)
    willLook = count > 0
    if (willLook) setTimeout(look, limits.orderPollMs).unref()
  }

  return {
    /** Told of every batch that was committed here. */
    saw(outcomes: readonly CommandOutcome[]): void {
      if (count === 0) return
      for (const outcome of outcomes) if (outcome.ok && outcome.value.kind === 'order') see(outcome.value.order)
    },

    /** From before the command is submitted, so that nothing is missed. Null when the caller does not wait, or too many do. */
    watch(prefer: unknown, shopId: ShopId, orderId: Uuid): Watch | null {
      const seconds = secondsToWait(prefer)
      if (seconds === null || over.signal.aborted || count >= limits.orderWatchersMax) return null
      let watcher: Watcher = { shopId, orderId, latest: null, isOld: false, wake: () => {} }
      add(watcher)
      return {
        seconds,
        async settled(order, caller) {
          if (order.id !== watcher.orderId) {
            remove(watcher) // the key had made another one
            watcher = { ...watcher, orderId: order.id, latest: null }
            add(watcher)
          }
          see(order)
          if (over.signal.aborted || caller.destroyed || isSettled(watcher.latest!)) return watcher.latest!
          await new Promise<void>((resolve) => {
            const wake = () => {
              clearTimeout(giveUp)
              caller.off('close', wake)
              resolve()
            }
            const giveUp = setTimeout(wake, seconds * 1_000)
            caller.once('close', wake)
            watcher.wake = wake
          })
          return watcher.latest!
        },
        end: () => remove(watcher),
      }
    },

    /** Everybody is answered with what is known; nobody waits from here on. */
    stop(): void {
      over.abort()
      for (const all of watchers.values()) for (const watcher of all) watcher.wake()
    },

    /** How many wait. */
    get size(): number {
      return count
    },
  }
}

/** Of `wait=5`, among other preferences or alone; null without it, or when it is not within 1 to 30. */
function secondsToWait(prefer: unknown): number | null {
  if (typeof prefer !== 'string') return null
  const match = /(?:^|[,;])\s*wait\s*=\s*"?(\d{1,3})"?\s*(?:[,;]|$)/i.exec(prefer)
  const seconds = match ? Number(match[1]) : 0
  return seconds >= 1 && seconds <= limits.orderWaitSecondsMax ? seconds : null
}
