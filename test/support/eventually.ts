// Waits for a condition by asking, with a deadline; the only way a test may wait.
import { setTimeout as delay } from 'node:timers/promises'

/** Resolves when `condition` holds (or stops throwing and holds), asked every 10 ms; throws after `deadlineMs`. */
export async function eventually(condition: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = Date.now() + deadlineMs
  for (;;) {
    if (await condition()) return
    if (Date.now() > end) throw new Error(`not so within ${deadlineMs} ms: ${condition}`)
    await delay(10)
  }
}
