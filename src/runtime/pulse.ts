// What has happened in the last seconds, counted as it happens: rings with a bucket for each second, so that to count is to add to an
// integer, and to read is to sum a few. Nothing is stored, nothing is asked of anybody.
import { limits } from '../base/limits.ts'

export type Placing =
  /** Answered as soon as it is decided. */
  | 'at_once'
  /** The caller asked to wait for its payment. */
  | 'waiting'

export type PulseMeter = {
  /** An answer; `placing` where one order was to be placed. `ms` since it was begun; null when that is not known. */
  answered(status: number, placing: Placing | null, ms: number | null): void
  /** An order was committed. */
  placed(): void
  /** Money was taken. */
  captured(shopId: number, money: PulseMoney): void
  sentUnits(peer: string, units: number): void
  sentRequest(peer: string): void
  read(): PulseRates
  /** Of a shop in the last minute; currencies of which there was none are left out. */
  capturedLately(shopId: number): PulseMoney[]
}

export type PulseMoney = { amount: number; currency: string }

/** A second each: the mean of the last `pulseRateSeconds` whole ones. */
export type PulseRates = {
  ordersPerS: number
  refusedPerS: number
  errorsPerS: number
  requestsPerS: number
  /** Of placing; null when nobody has placed anything for `pulseLatencySeconds`. */
  p50Ms: number | null
  p99Ms: number | null
  sentTo(peer: string): { unitsPerS: number; requestsPerS: number }
}

export function createPulseMeter(elapsedMs: () => number): PulseMeter {
  const now = (): number => Math.floor(elapsedMs() / 1000)
  const counter = () => createRing(limits.pulseRateSeconds + 1)
  const [orders, refusals, errors, requests] = [counter(), counter(), counter(), counter()]
  const latencies = createLatencies()
  const units = createSeries(counter)
  const forwards = createSeries(counter)
  const money = createSeries(() => createRing(limits.pulseMoneySeconds))
  const rate = (ring: Ring | undefined, second: number): number => {
    const sum = ring?.sum(second - limits.pulseRateSeconds, second - 1) ?? 0
    return sum / limits.pulseRateSeconds
  }

  return {
    answered(status, placing, ms) {
      const second = now()
      requests.add(second, 1)
      if (status >= 500 && status !== 503) errors.add(second, 1)
      if (placing === null) return
      if (status === 503 || (status >= 400 && status < 500)) refusals.add(second, 1)
      if (placing === 'at_once' && ms !== null) latencies.add(second, ms)
    },
    placed: () => orders.add(now(), 1),
    captured: (shopId, { amount, currency }) => money.of(`${shopId} ${currency}`).add(now(), amount),
    sentUnits: (peer, count) => units.of(peer).add(now(), count),
    sentRequest: (peer) => forwards.of(peer).add(now(), 1),
    read() {
      const second = now()
      const counts = latencies.since(second - limits.pulseLatencySeconds + 1)
      return {
        ordersPerS: rate(orders, second),
        refusedPerS: rate(refusals, second),
        errorsPerS: rate(errors, second),
        requestsPerS: rate(requests, second),
        p50Ms: quantile(counts, 0.5),
        p99Ms: quantile(counts, 0.99),
        sentTo: (peer) => ({
          unitsPerS: rate(units.known(peer), second),
          requestsPerS: rate(forwards.known(peer), second),
        }),
      }
    },
    capturedLately(shopId) {
      const second = now()
      return money
        .withPrefix(`${shopId} `)
        .map(([currency, ring]) => ({ amount: ring.sum(second - limits.pulseMoneySeconds + 1, second), currency }))
        .filter(({ amount }) => amount !== 0)
    },
  }
}

type Ring = { add(second: number, by: number): void; sum(from: number, to: number): number }

/** Of the last `seconds`; what is older is overwritten. */
function createRing(seconds: number): Ring {
  const counts = new Float64Array(seconds)
  const of = new Float64Array(seconds).fill(-1)
  return {
    add(second, by) {
      const at = second % seconds
      if (of[at] !== second) counts[at] = 0
      of[at] = second
      counts[at]! += by
    },
    sum(from, to) {
      let sum = 0
      for (let second = Math.max(0, from); second <= to; second++)
        if (of[second % seconds] === second) sum += counts[second % seconds]!
      return sum
    },
  }
}

/** Rings by name. Names come from the topology and from shops' currencies, so they are few; the oldest goes before they are many. */
function createSeries(make: () => Ring) {
  const rings = new Map<string, Ring>()
  return {
    known: (name: string) => rings.get(name),
    withPrefix: (prefix: string): [rest: string, Ring][] =>
      [...rings].flatMap(([name, ring]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), ring]] : [])),
    of(name: string): Ring {
      const found = rings.get(name)
      if (found) return found
      if (rings.size >= limits.pulseSeriesMax) rings.delete(rings.keys().next().value!)
      const made = make()
      rings.set(name, made)
      return made
    },
  }
}

// Eight buckets for each doubling from 0.1 ms on: what is read is at most 9 % more than what was.
const perDoubling = 8
const leastMs = 0.1
const buckets = 20 * perDoubling // up to 105 s
const bucketOf = (ms: number): number =>
  Math.min(buckets - 1, Math.max(0, Math.ceil(Math.log2(ms / leastMs) * perDoubling)))
const upTo = (bucket: number): number => leastMs * 2 ** (bucket / perDoubling)

function createLatencies() {
  const seconds = limits.pulseLatencySeconds
  const counts = Array.from({ length: seconds }, () => new Uint32Array(buckets))
  const of = new Float64Array(seconds).fill(-1)
  return {
    add(second: number, ms: number): void {
      const at = second % seconds
      if (of[at] !== second) counts[at]!.fill(0)
      of[at] = second
      counts[at]![bucketOf(ms)]!++
    },
    since(second: number): Uint32Array {
      const sum = new Uint32Array(buckets)
      for (const [at, one] of counts.entries()) {
        if (of[at]! < second) continue
        for (let bucket = 0; bucket < buckets; bucket++) sum[bucket]! += one[bucket]!
      }
      return sum
    },
  }
}

/** The upper bound of its bucket; null of nothing. */
function quantile(counts: Uint32Array, share: number): number | null {
  const all = counts.reduce((sum, count) => sum + count, 0)
  if (all === 0) return null
  let left = Math.ceil(all * share)
  const bucket = counts.findIndex((count) => {
    left -= count
    return left <= 0
  })
  return Math.round(upTo(bucket) * 100) / 100
}
