// What of a pulse is in the database or with the peers: read while somebody looks, seldom, and never waited for but at first.
import type { CellName, ShopId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import type { Clock } from '../runtime/clock.ts'
import type { ConsumerState } from '../runtime/consumers-admin.ts'

export type PulseFacts = {
  lags: { consumer: string; events: number; seconds: number }[]
  deadLetters: number
  /** Since when, as far as was looked, a peer has not confirmed all units that were sent to it. */
  unconfirmedSince: ReadonlyMap<CellName, Instant>
}

export type PulseFactsOptions = {
  consumers(): Promise<ConsumerState[]>
  countDeadLetters(shopId: ShopId): Promise<number>
  unconfirmedSince(): Promise<PulseFacts['unconfirmedSince']>
  clock: Pick<Clock, 'elapsedMs' | 'sleep'>
  onError(error: unknown): void
}

type Kept = { facts: PulseFacts; nextMs: number; reading: Promise<void> | null }

const none: PulseFacts = { lags: [], deadLetters: 0, unconfirmedSince: new Map() }

/** Answers what was read last for a shop, and reads it anew in the background when that is old. */
export function createPulseFacts(options: PulseFactsOptions): (shopId: ShopId) => Promise<PulseFacts> {
  const { clock, onError } = options
  const byShop = new Map<ShopId, Kept>()

  async function read(shopId: ShopId): Promise<PulseFacts> {
    const [consumers, deadLetters, unconfirmedSince] = await Promise.all([
      options.consumers(),
      options.countDeadLetters(shopId),
      options.unconfirmedSince(),
    ])
    const lags = consumers.map(({ name, lagEvents, lagSeconds }) => ({
      consumer: name,
      events: lagEvents,
      seconds: lagSeconds,
    }))
    return { lags, deadLetters, unconfirmedSince }
  }

  async function renew(shopId: ShopId, kept: Kept): Promise<void> {
    const beganMs = clock.elapsedMs()
    try {
      kept.facts = await read(shopId)
    } catch (error) {
      onError(error) // what was known stays
    }
    const endedMs = clock.elapsedMs()
    kept.nextMs = endedMs + Math.max(limits.pulseFactsMs, (endedMs - beganMs) * limits.pulseFactsShare)
    kept.reading = null
  }

  function keep(shopId: ShopId): Kept {
    if (byShop.size >= limits.pulseShopsMax) byShop.delete(byShop.keys().next().value!)
    const made: Kept = { facts: none, nextMs: 0, reading: null }
    byShop.set(shopId, made)
    return made
  }

  return async (shopId) => {
    const kept = byShop.get(shopId) ?? keep(shopId)
    if (kept.reading === null && clock.elapsedMs() >= kept.nextMs) kept.reading = renew(shopId, kept)
    if (kept.facts === none) await Promise.race([kept.reading, clock.sleep(limits.pulseFactsWaitMs)])
    return kept.facts
  }
}
