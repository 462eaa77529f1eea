// The client process of the crash test: workers that each send one intent after the other through the SDK, under a key that
// stays until there is an answer. A client that was killed is started again on the same journal, and first asks again for all
// that it never heard of. SIGTERM: no new intents; it ends when every one has its answer.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient } from '../../sdk/src/client.ts'
import { prng } from '../../src/base/prng.ts'
import { openIntents, openJournal, readJournal } from './journal.ts'
import { send, turn } from './turn.ts'
import { createWorker } from './workload.ts'

const workers = 8
const pauseMsMax = 6 // between two intents of a worker, so that the machine is left some time for the crashes
const impatient = 0.05 // how often an intent is sent twice at once, as a double click does

const { values } = parseArgs({
  options: { url: { type: 'string' }, journal: { type: 'string' }, seed: { type: 'string' } },
})
await main({ url: values.url!, path: values.journal!, seed: Number(values.seed) })

async function main({ url, path, seed }: { url: string; path: string; seed: number }): Promise<void> {
  const client = createClient({ url, key: 'sk_dev', attemptMs: 5_000, backoff: { firstMs: 10, maxMs: 200 } })
  const earlier = readJournal(path)
  const journal = openJournal(path)
  const life = earlier.intents.size
  let stopping = false
  process.on('SIGTERM', () => {
    stopping = true
  })
  await Promise.all(openIntents(earlier).map((intent) => send(client, journal, intent)))
  await Promise.all(
    Array.from({ length: workers }, async (_, number) => {
      const random = prng(seed + number * 1_000 + life * 1_000_000)
      const worker = createWorker(random.fork())
      for (let count = 0; !stopping; count++) {
        await turn({
          client,
          journal,
          worker,
          key: `${seed}-${life}-${number}-${count}`,
          twice: random.chance(impatient),
        })
        await delay(random.between(0, pauseMsMax))
      }
    }),
  )
  journal.close()
}
