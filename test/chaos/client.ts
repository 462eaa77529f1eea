// The client process of the crash test: workers that each send one intent after the other through the SDK, under a key that
// stays until there is an answer. A client that was killed is started again on the same journal, and first asks again for all
// that it never heard of. SIGTERM: no new intents; it ends when every one has its answer.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type AnswerInfo, type Client, createClient, HoldfastError } from '../../sdk/src/client.ts'
import { prng } from '../../src/base/prng.ts'
import { type Answer, type Intent, type Journal, openIntents, openJournal, readJournal } from './journal.ts'
import { sendIntent } from './send.ts'
import { createWorker, type Worker } from './workload.ts'

const workers = 8
const pauseMsMax = 6 // between two intents of a worker, so that the machine is left some time for the crashes
const impatient = 0.05 // how often an intent is sent twice at once, as a double click does
const answerMsMax = 90_000

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

type Turn = { client: Client; journal: Journal; worker: Worker; key: string; twice: boolean }

async function turn({ client, journal, worker, key, twice }: Turn): Promise<void> {
  const wish = worker.next()
  const intent: Intent = { ...wish, key, sends: twice ? 2 : 1 }
  if (intent.kind === 'order') intent.body = { ...intent.body, metadata: { key } } // the store shows which key made it
  journal.write({ intent })
  const [answer] = await Promise.all([send(client, journal, intent), twice ? send(client, journal, intent) : undefined])
  worker.learn(wish, answer)
}

/** Until there is an answer that stands. */
async function send(client: Client, journal: Journal, intent: Intent): Promise<Answer> {
  const { key } = intent
  let replayed = false
  const options = {
    idempotencyKey: key,
    deadlineMs: answerMsMax,
    onAnswer: (info: AnswerInfo) => {
      replayed = info.replayed
    },
  }
  let answer: Answer
  try {
    const content = await sendIntent(client, intent, options)
    answer = { key, replayed, ok: true, content }
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.status === 0 || error.status >= 500) throw error
    answer = { key, replayed, ok: false, code: error.code }
  }
  journal.write({ answer })
  return answer
}
