// The time of day and the passing of time, handed in wherever time decides something, so that tests and the simulator can
// set it.
import { type Instant, instant } from '../base/time.ts'

export type Clock = {
  /** The time of day. May jump, both ways. */
  now(): Instant
  /** Milliseconds since some start. Never goes back; for durations and deadlines. */
  elapsedMs(): number
  /** Resolves after so many milliseconds, or when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => instant(Date.now()),
  elapsedMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve()
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal?.addEventListener('abort', done)
    }),
}

export type ManualClock = Clock & {
  /** Lets time pass; sleepers whose time has come wake in the order of their times. */
  pass(ms: number): void
  /** Sets the time of day, as an operator or NTP would; no time passes. */
  jump(to: Instant): void
  readonly sleepers: number
}

/** A clock that stands still until it is told otherwise. */
export function manualClock(start: Instant): ManualClock {
  let elapsed = 0
  let offset: number = start
  let sleeping: { at: number; wake: () => void }[] = []

  return {
    now: () => instant(offset + elapsed),
    elapsedMs: () => elapsed,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve()
        const wake = (): void => {
          sleeping = sleeping.filter((one) => one !== sleeper)
          signal?.removeEventListener('abort', wake)
          resolve()
        }
        const sleeper = { at: elapsed + ms, wake }
        sleeping.push(sleeper)
        signal?.addEventListener('abort', wake)
      }),
    pass(ms) {
      elapsed += ms
      const due = sleeping.filter((one) => one.at <= elapsed).sort((a, b) => a.at - b.at)
      for (const one of due) one.wake()
    },
    jump(to) {
      offset = to - elapsed
    },
    get sleepers() {
      return sleeping.length
    },
  }
}
