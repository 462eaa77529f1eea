// The client process of one region. Its workers are of four kinds: those that do all there is, through the SDK, under keys that
// name their cell; those that only buy what there is plenty of, at their own cell alone; those that send by hand, under keys that
// name no cell, and try their luck in the next region when they are not answered; in one region, one that counts. SIGTERM: no new
// intents; it ends when every one has its answer.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type AdjustedStock, type Client, createClient, type PlaceOrder } from '../../../sdk/src/client.ts'
import { type Prng, prng } from '../../../src/base/prng.ts'
import { type Intent, type Journal, openJournal } from '../journal.ts'
import { turn } from '../turn.ts'
import { createWorker, skus, testMethods, type Wish, type Worker } from '../workload.ts'
import { type Cell, cells } from './plan.ts'
import { countedSku, firstUnits, plentySku } from './stock.ts'

const [busyWorkers, steadyWorkers, handWorkers] = [3, 2, 2]
const pauseMsMax = 40 // the machine has three cells to run
const countPauseMs = 700
const impatient = 0.05
const patience = { attemptMs: 5_000, backoff: { firstMs: 20, maxMs: 400 } }
const byHandMs = 2_500 // until the next region is asked

const { values } = parseArgs({
  options: {
    cell: { type: 'string' },
    urls: { type: 'string' },
    journal: { type: 'string' },
    seed: { type: 'string' },
  },
})
await main(values.cell!, values.urls!.split(','), openJournal(values.journal!))

async function main(cell: string, urls: readonly string[], journal: Journal): Promise<void> {
  const random = prng(Number(values.seed) + 1_000 * cells.indexOf(cell as Cell))
  const everywhere = createClient({ urls, cell, key: 'sk_dev', ...patience })
  const own = createClient({ url: urls[0]!, cell, key: 'sk_dev', ...patience })
  let stopping = false
  process.on('SIGTERM', () => {
    stopping = true
  })
  const goOn = async (pauseMs: number, work: (count: number) => Promise<void>): Promise<void> => {
    for (let count = 0; !stopping; count++) {
      await work(count)
      await delay(random.between(0, pauseMs))
    }
  }
  const through = (client: Client, worker: Worker, name: string) => (count: number) =>
    turn({ client, journal, worker, key: `${cell}.${name}-${values.seed}-${count}`, twice: random.chance(impatient) })
  const times = (count: number, make: (at: number) => Promise<void>) =>
    Array.from({ length: count }, (_, at) => make(at))
  await Promise.all([
    ...times(busyWorkers, (at) =>
      goOn(pauseMsMax, through(everywhere, createWorker(random.fork(), testMethods), `busy-${at}`)),
    ),
    ...times(steadyWorkers, (at) => goOn(pauseMsMax, through(own, steadyWorker(random.fork()), `steady-${at}`))),
    ...times(handWorkers, (at) =>
      goOn(pauseMsMax * 3, async (count) => {
        const key = `any-${cell}-${at}-${values.seed}-${count}`
        await orderByHand(journal, { key, sends: 1, ...orderOf(random, [...skus, plentySku], key) }, urls)
      }),
    ),
    ...times(cell === cells[0] ? 1 : 0, () =>
      goOn(countPauseMs, through(everywhere, countingWorker(random.fork()), 'count')),
    ),
  ])
  journal.close()
}

type OrderWish = Extract<Wish, { kind: 'order' }>

/** With its key in its metadata, if it is known by then. */
function orderOf(random: Prng, from: readonly string[], key?: string): OrderWish {
  const unit_price = { amount: random.between(1, 5_000), currency: 'EUR' }
  const lines = [{ sku: random.pick(from), quantity: random.between(1, 2), unit_price }]
  const body: PlaceOrder = { currency: 'EUR', lines, payment: { provider: 'test', method: 'tok_ok' } }
  return { kind: 'order', body: key === undefined ? body : { ...body, metadata: { key } } }
}

function steadyWorker(random: Prng): Worker {
  return { next: () => orderOf(random, [plentySku, plentySku, plentySku, countedSku]), learn: () => {} }
}

/** A few more or fewer than were there the last time, which leaves no order without its units. */
function countingWorker(random: Prng): Worker {
  let last = firstUnits(countedSku)
  return {
    next: () => ({ kind: 'adjust', body: { sku: countedSku, set: last + random.between(-5, 5), reason: 'counted' } }),
    learn(_, answer) {
      if (answer.ok) last = (answer.content as AdjustedStock).data[0]!.on_hand
    },
  }
}

/** Sent to one region after the other, until one of them says something that stands. */
async function orderByHand(journal: Journal, intent: Extract<Intent, { kind: 'order' }>, urls: readonly string[]) {
  journal.write({ intent })
  const { key } = intent
  for (let attempt = 0; ; attempt++) {
    const answer = await postByHand(urls[attempt % urls.length]!, key, intent.body)
    const replayed = answer?.replayed ?? false
    if (answer?.status === 201 || answer?.status === 200) {
      const content = JSON.parse(answer.text)
      return journal.write({ answer: { key, replayed, at: Date.now(), ok: true, content } })
    }
    const code = answer && (JSON.parse(answer.text) as { code: string }).code
    if (code !== undefined && answer!.status < 500 && answer!.status !== 429 && code !== 'idempotency_key_in_flight')
      return journal.write({ answer: { key, replayed, at: Date.now(), ok: false, code } })
    await delay(attempt % urls.length === 0 ? 0 : 100)
  }
}

async function postByHand(url: string, key: string, body: PlaceOrder) {
  try {
    const answer = await fetch(`${url}/v1/orders`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk_dev', 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(byHandMs),
    })
    const replayed = answer.headers.get('idempotent-replayed') === 'true'
    return { status: answer.status, text: await answer.text(), replayed }
  } catch {
    return undefined
  }
}
