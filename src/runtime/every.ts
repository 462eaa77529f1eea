// Work that repeats for as long as the process lives: never twice at once, a failure is told and the next turn comes.
import { setTimeout as delay } from 'node:timers/promises'

export type Recurring = { stop(): Promise<void> }

/** Runs `work`, waits `ms`, runs it again. `stop` aborts the signal, and resolves when the turn under way has ended. */
export function every(
  ms: number,
  work: (stopping: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
): Recurring {
  const stopping = new AbortController()
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await work(stopping.signal).catch(onError)
      await delay(ms, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await loop
    },
  }
}
