// What becomes of a delivery after an attempt, and of its endpoint. Pure: the time and the chance are handed in.
import { limits } from '../../base/limits.ts'
import { addMs, type Instant } from '../../base/time.ts'
import type { Attempt, DisabledReason, Verdict } from './types.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** The schedule that Standard Webhooks recommends: the pause after each failed attempt; ten attempts over three days. */
export const retryPausesMs = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
] as const

export const isDelivered = ({ status }: Pick<Attempt, 'status'>): boolean =>
  status !== null && status >= 200 && status < 300

/**
 * After attempt number `tries` (from 1). A pause is up to a tenth longer by `chance` (0 to 1), so that those who failed
 * together do not come back together for ever; never shorter, and never shorter than the receiver asked for.
 */
export function verdictOf(
  attempt: Attempt & { retryAfterMs?: number | undefined },
  tries: number,
  { now, chance }: { now: Instant; chance: number },
): Verdict {
  if (isDelivered(attempt)) return { state: 'delivered' }
  if (attempt.status === 410) return { state: 'dead', reason: 'endpoint_gone' }
  const pauseMs = retryPausesMs[tries - 1]
  if (pauseMs === undefined) return { state: 'dead', reason: 'attempts_exhausted' }
  const askedMs = Math.min(attempt.retryAfterMs ?? 0, limits.webhookRetryAfterMsMax)
  return { state: 'waiting', nextAt: addMs(now, Math.max(askedMs, Math.round(pauseMs * (1 + chance / 10)))) }
}

/** What some attempts, in the order they ended, say of the endpoint. `failingSince` as it was before them. */
export function endpointAfter(
  attempts: readonly Attempt[],
  failingSince: Instant | null,
  now: Instant,
): { failingSince: Instant | null; disable: DisabledReason | null } {
  let since = failingSince
  for (const attempt of attempts) since = isDelivered(attempt) ? null : (since ?? attempt.at)
  if (attempts.some(({ status }) => status === 410)) return { failingSince: since, disable: 'gone' }
  const isLost = since !== null && now - since >= limits.webhookFailingMsMax
  return { failingSince: since, disable: isLost ? 'failing' : null }
}

const pattern = /^([a-z][a-z_]{0,39})\.(\*|[a-z][a-z_]{0,39})$/

/** Whether a text may stand in an endpoint's types: `order.placed`, `order.*` or `*`. */
export const isTypePattern = (text: string): boolean => text === '*' || pattern.test(text)
