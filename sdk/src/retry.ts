// When to try again: exponential backoff with full jitter (Brooker, "Exponential Backoff and Jitter", 2015), never before
// Retry-After, never past the deadline.
import { HoldfastError, mayRetry } from './problem.ts'

export type Backoff = { firstMs: number; maxMs: number }

/** What is waited before try `attempt` + 1, counted from 0. */
export function backoffMs(backoff: Backoff, attempt: number, retryAfterMs = 0): number {
  const ceiling = Math.min(backoff.maxMs, backoff.firstMs * 2 ** Math.min(attempt, 30))
  return retryAfterMs + Math.random() * ceiling
}

/** Waits as long as `error` allows to; throws it when trying again is no use, or would come after `until`. */
export async function waitToRetry(
  error: unknown,
  {
    backoff,
    attempt,
    until,
    signal,
  }: { backoff: Backoff; attempt: number; until: number; signal: AbortSignal | undefined },
): Promise<void> {
  if (!(error instanceof HoldfastError) || !mayRetry(error)) throw error
  const wait = backoffMs(backoff, attempt, error.retryAfterMs)
  if (Date.now() + wait >= until) throw error
  await sleep(wait, signal)
}

/** Rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
