// Promises of bulk calls: an answer for each line in its order, resends that repeat keys and nothing else, bounded memory.
import { afterEach, expect, test } from 'vitest'
import { type BulkOptions, createClient } from '../../sdk/src/client.ts'
import { eventually } from '../support/eventually.ts'
import { type Answer, type Asked, problem, type ScriptedServer, startScriptedServer } from './scripted-server.ts'

let server: ScriptedServer | undefined
afterEach(() => server?.stop())

async function start(answer: Answer) {
  server = await startScriptedServer(answer)
  return createClient({
    url: server.url,
    key: 'sk_dev',
    cell: 'eu1',
    backoff: { firstMs: 5, maxMs: 20 },
    attemptMs: 2_000,
  })
}

const orderOf = (reference: string) => ({
  currency: 'EUR',
  reference,
  lines: [{ sku: 'A-1', quantity: 1, unit_price: { amount: 500, currency: 'EUR' } }],
})
const references = (count: number) => Array.from({ length: count }, (_, at) => `R${at}`)
const linesOf = (asked: Asked) =>
  asked.body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { idempotency_key: string; reference: string })
const created = (line: { reference: string }) =>
  `${JSON.stringify({ status: 201, order: { reference: line.reference } })}\n`

async function run(client: Awaited<ReturnType<typeof start>>, count: number, options: BulkOptions = {}) {
  const answered: [string | null | undefined, number][] = []
  for await (const answer of client.orders.bulk(references(count).map(orderOf), options))
    answered.push([answer.item.reference, answer.status])
  return answered
}
const all = (count: number) => references(count).map((reference) => [reference, 201])

test('every line is answered in its order, over many batches', async () => {
  const client = await start((asked, response) => void response.end(linesOf(asked).map(created).join('')))
  expect(await run(client, 23, { batchLines: 4 })).toEqual(all(23))
  expect(server!.asked).toHaveLength(6)
  expect(server!.asked[0]!.headers['content-type']).toBe('application/x-ndjson')
  expect(server!.asked[0]!.headers['idempotency-key']).toBeUndefined()
})

test('a broken connection leaves its answered lines done; only the rest is sent again, under the same keys', async () => {
  const client = await start((asked, response, nth) => {
    const lines = linesOf(asked)
    if (nth > 0) return void response.end(lines.map(created).join(''))
    // Three whole answers and a piece of the fourth.
    response.write(`${lines.slice(0, 3).map(created).join('')}{"status":2`, () => response.destroy())
  })
  expect(await run(client, 8)).toEqual(all(8))
  const [first, second] = server!.asked.map(linesOf)
  expect(second).toEqual(first!.slice(3))
  expect(new Set(first!.map((line) => line.idempotency_key)).size).toBe(8)
})

test('an end in between is a broken connection too', async () => {
  const client = await start(
    (asked, response, nth) =>
      void response.end(
        linesOf(asked)
          .slice(0, nth + 1)
          .map(created)
          .join(''),
      ),
  )
  expect(await run(client, 3)).toEqual(all(3))
})

test('a line that is refused for now is sent again; one refused for good is its answer', async () => {
  const client = await start((asked, response, nth) => {
    const answers = linesOf(asked).map((line) => {
      if (line.reference === 'R1')
        return `${JSON.stringify({ status: 409, problem: { status: 409, code: 'insufficient_stock' } })}\n`
      if (line.reference === 'R2' && nth < 2)
        return `${JSON.stringify({ status: 503, problem: { status: 503, code: 'overloaded' } })}\n`
      return created(line)
    })
    response.end(answers.join(''))
  })
  expect(await run(client, 4)).toEqual([
    ['R0', 201],
    ['R1', 409],
    ['R2', 201],
    ['R3', 201],
  ])
  expect(server!.asked.map((asked) => linesOf(asked).length)).toEqual([4, 1, 1])
})

test('a refusal for now that outlasts the deadline is the answer', async () => {
  const client = await start((asked, response) => {
    response.end(
      linesOf(asked)
        .map(() => `${JSON.stringify({ status: 503, problem: { status: 503, code: 'overloaded' } })}\n`)
        .join(''),
    )
  })
  expect(await run(client, 2, { deadlineMs: 100 })).toEqual([
    ['R0', 503],
    ['R1', 503],
  ])
})

test('a request refused as a whole is thrown', async () => {
  const client = await start((_, response) => problem(response, 401, 'unauthorized'))
  await expect(run(client, 2)).rejects.toMatchObject({ code: 'unauthorized', status: 401 })
})

test('an endless source is read no faster than it is answered', async () => {
  let drawn = 0
  function* endless() {
    for (;;) yield orderOf(`R${drawn++}`)
  }
  const client = await start((asked, response) => void response.end(linesOf(asked).map(created).join('')))
  let read = 0
  for await (const _ of client.orders.bulk(endless(), { batchLines: 10, inFlight: 2 })) {
    read++
    expect(drawn - read).toBeLessThanOrEqual(30) // two batches on their way, one being gathered
    if (read === 500) break
  }
  const drawnAtTheEnd = drawn
  expect(read).toBe(500)
  expect(drawnAtTheEnd).toBeLessThanOrEqual(530)
})

test('a source that waits for its answers gets them', async () => {
  const client = await start((asked, response) => void response.end(linesOf(asked).map(created).join('')))
  let answered = 0
  async function* oneAtATime() {
    for (let n = 0; n < 3; n++) {
      yield orderOf(`R${n}`)
      await eventually(() => answered > n, 2_000)
    }
  }
  for await (const _ of client.orders.bulk(oneAtATime())) answered++
  expect(answered).toBe(3)
})
