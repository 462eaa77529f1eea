// Promises of a client that knows several cells: the nearest that is well is asked, another at once when it is not, and never can
// one call do its thing in two of them.
import { afterEach, describe, expect, test } from 'vitest'
import { type ClientOptions, createClient } from '../../sdk/src/client.ts'
import { type Answer, json, problem, type ScriptedServer, startScriptedServer } from './scripted-server.ts'

const servers: ScriptedServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
})

const cellsOf = (...answers: Answer[]) => cellsWith({}, ...answers)

async function cellsWith(options: Partial<ClientOptions>, ...answers: Answer[]) {
  const names = ['eu1', 'us1', 'ap1']
  for (const [at, answer] of answers.entries()) {
    const cell = names[at]!
    servers.push(
      await startScriptedServer((asked, response, nth) => {
        response.setHeader('holdfast-cell', cell)
        return asked.path === '/healthz'
          ? json(response, 200, {}, { 'holdfast-cell': cell })
          : answer(asked, response, nth)
      }),
    )
  }
  const client = createClient({
    urls: servers.map(({ url }) => url),
    key: 'sk_dev',
    backoff: { firstMs: 5, maxMs: 20 },
    ...options,
  })
  const asked = servers.map((server) => () => server.asked.filter(({ path }) => path !== '/healthz'))
  return { client, asked }
}

const order = { currency: 'EUR', lines: [{ sku: 'A-1', quantity: 1, unit_price: { amount: 500, currency: 'EUR' } }] }
const placed: Answer = (_, response) =>
  json(response, 201, { id: 'x' }, { 'holdfast-cell': response.getHeader('holdfast-cell') as string })
const keyOf = (one: { headers: Record<string, unknown> } | undefined): string => String(one?.headers['idempotency-key'])

describe('a client of several cells', () => {
  test('asks the nearest, under keys that name it from the first on', async () => {
    const { client, asked } = await cellsOf(placed, placed)
    await client.orders.place(order)
    await client.orders.place(order)
    expect(asked.map((of) => of().length)).toEqual([2, 0])
    for (const one of asked[0]!()) expect(keyOf(one)).toMatch(/^eu1\.[0-9a-f]{32}$/)
    expect(client.cell()).toBe('eu1')
  })

  test('turns to the next at once with the same key when the nearest may have taken it', async () => {
    const { client, asked } = await cellsOf((_, response) => void response.destroy(), placed)
    await client.orders.place(order)
    expect(asked.map((of) => of().length)).toEqual([1, 1])
    expect(keyOf(asked[1]!()[0])).toBe(keyOf(asked[0]!()[0]))
    expect(keyOf(asked[1]!()[0])).toMatch(/^eu1\./)
  })

  test('turns to the next when the nearest says nothing, and stays there for a while', async () => {
    const { client, asked } = await cellsWith({ attemptMs: 1_000 }, () => undefined, placed)
    await client.orders.place(order)
    await client.orders.place(order)
    expect(asked.map((of) => of().length)).toEqual([1, 2])
    const [first, second] = asked[1]!().map(keyOf)
    expect(first).toMatch(/^eu1\./) // it may have arrived there
    expect(second).toMatch(/^us1\./)
  })

  test('buys elsewhere under a key of that cell when nobody has read the first', async () => {
    const { client, asked } = await cellsOf(placed, placed)
    await servers[0]!.stop()
    await client.orders.place(order)
    expect(keyOf(asked[1]!()[0])).toMatch(/^us1\./)
    expect(client.cell()).toBe('us1')
  })

  test('asks another cell when one cannot reach the home; the key stays when it may have happened, and is the new cell’s when it has not', async () => {
    const unreachable =
      (mayHaveHappened: boolean): Answer =>
      (_, response) =>
        json(
          response,
          503,
          { code: 'cell_unreachable', status: 503, may_have_happened: mayHaveHappened },
          { 'retry-after': '60' },
        )
    const one = await cellsOf(unreachable(true), placed)
    await one.client.orders.place(order)
    expect(keyOf(one.asked[1]!()[0])).toMatch(/^eu1\./)
    for (const server of servers.splice(0)) await server.stop()
    const two = await cellsOf(unreachable(false), placed)
    await two.client.orders.place(order)
    expect(keyOf(two.asked[1]!()[0])).toMatch(/^us1\./)
  })

  test('keeps a key of the caller’s, and one that must name a thing’s cell', async () => {
    const { client, asked } = await cellsOf(placed, placed)
    await servers[0]!.stop()
    await client.orders.place(order, { idempotencyKey: 'cart-81' })
    await client.orders.capture('ord_ap1_1')
    const [first, second] = asked[1]!().map(keyOf)
    expect(first).toBe('cart-81')
    expect(second).toMatch(/^ap1\./)
  })

  test('ends when no cell can be reached in time', async () => {
    const { client } = await cellsOf(placed, placed)
    for (const server of servers) await server.stop()
    await expect(client.orders.place(order, { deadlineMs: 100 })).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('does not go elsewhere with what a cell refuses', async () => {
    const { client, asked } = await cellsOf((_, response) => problem(response, 409, 'insufficient_stock'), placed)
    await expect(client.orders.place(order)).rejects.toMatchObject({ code: 'insufficient_stock' })
    expect(asked.map((of) => of().length)).toEqual([1, 0])
  })

  test('is not misled about its own cell by what that one forwarded', async () => {
    const { client, asked } = await cellsOf((_, response) =>
      json(response, 200, { id: 'x' }, { 'holdfast-cell': 'us1', 'holdfast-via': 'eu1' }),
    )
    await client.orders.get('ord_us1_1')
    expect(client.cell()).toBe('eu1')
    expect(asked[0]!()).toHaveLength(1)
  })

  test('sends what is left of a bulk request elsewhere, under the same keys', async () => {
    const lines: Answer = ({ body }, response) => {
      const answers = body
        .trim()
        .split('\n')
        .map(() => '{"status":201,"order":{}}\n')
      response.writeHead(200, { 'holdfast-cell': 'us1' }).end(answers.join(''))
    }
    const { client, asked } = await cellsOf((_, response) => void response.destroy(), lines)
    const keys: string[] = []
    for await (const { item } of client.orders.bulk([order, order])) keys.push(item.idempotency_key)
    for (const key of keys) expect(key).toMatch(/^eu1\./)
    expect(asked[1]!()[0]!.body).toBe(asked[0]!()[0]!.body)
  })

  test('reads on in the same cell’s log through another', async () => {
    const stream: Answer = (_, response) => void response.writeHead(200).write('id: p1\ndata: {"n":1}\n\n')
    const { client, asked } = await cellsOf((_, response) => void response.destroy(), stream)
    for await (const { position } of client.events.stream({ types: 'order.*' })) {
      expect(position).toBe('p1')
      break
    }
    expect(asked[1]!()[0]!.path).toBe('/v1/events?types=order.*&cell=eu1')
  })
})

test('a client needs a URL', () => {
  expect(() => createClient({ key: 'sk_dev' })).toThrow(TypeError)
})
