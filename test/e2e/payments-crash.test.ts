// A server that is killed while payments are open: its successor asks the provider, and each order is charged once.
import { expect, test } from 'vitest'
import { lineOf, newSku, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { cellProcess } from '../support/holdfast.ts'

const server = useServer()

test('orders whose payments were open at kill -9 are paid by the next process, each once', {
  timeout: 90_000,
}, async () => {
  const sku = await stocked(server.sk, 100, newSku())
  const place = (method: string) =>
    server.ask('POST /v1/orders', {
      body: { currency: 'EUR', lines: [lineOf(sku, 2)], payment: { provider: 'test', method } },
    })
  const methods = ['tok_ok', 'tok_slow', 'tok_timeout', 'tok_flaky', 'tok_declined']
  const placed = await Promise.all(methods.flatMap((method) => [place(method), place(method), place(method)]))
  const killed = cellProcess(server.data)!
  process.kill(killed, 'SIGKILL')
  await eventually(async () => {
    const lives = await fetch(`${server.url}/healthz`).catch(() => undefined)
    return cellProcess(server.data) !== killed && lives?.status === 200
  }, 20_000)

  for (const [index, { body }] of placed.entries()) {
    const method = methods[Math.floor(index / 3)]
    const isDeclined = method === 'tok_declined'
    await eventually(async () => {
      const { payment } = (await server.ask(`GET /v1/orders/${body.id}`)).body
      return payment.status === (isDeclined ? 'failed' : 'captured')
    }, 60_000)
    const { data } = (await server.ask(`GET /v1/test-provider/charges?order=${body.id}`)).body
    expect(data, method).toMatchObject([
      isDeclined ? { captured: 0, status: 'failed' } : { captured: 1000, refunded: 0, status: 'captured' },
    ])
  }
})
