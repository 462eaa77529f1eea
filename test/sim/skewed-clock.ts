// The clock of a cell's machines: true time and whatever it is off by, which changes in leaps, both ways.
import type { Instant } from '../../src/base/time.ts'
import type { Scheduler } from './scheduler.ts'

const beganAt = Date.UTC(2026, 0, 1)

export function createSkewedClock(scheduler: Pick<Scheduler, 'now'>, trace: (line: () => string) => void) {
  let skewMs = 0
  let skewMsMax = 0

  function jump(ms: number): void {
    skewMs += ms
    skewMsMax = Math.max(skewMsMax, skewMs)
    trace(() => `the clock jumps, it is ${skewMs} ms off`)
  }
  return {
    now: () => Math.floor(beganAt + scheduler.now() + skewMs) as Instant,
    jump,
    /** Beyond whatever it has shown. */
    advance: (ms: number) => jump(skewMsMax - skewMs + ms),
  }
}
