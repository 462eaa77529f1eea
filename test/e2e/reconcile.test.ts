// holdfast reconcile, as a user runs it, beside a running server: what the orders did not know they know afterwards.
import { expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { openSql } from '../../src/runtime/database-url.ts'
import { newSku, paidOrder, stocked, useServer } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { embeddedUrl, runHoldfast } from '../support/holdfast.ts'

const server = useServer()

async function reconcile(...args: string[]) {
  const ended = await runHoldfast(['reconcile', '--data', server.data, '--json', ...args])
  expect(ended.stderr).not.toMatch(/\n +at /) // a stack trace is a fault of ours
  return { code: ended.code, json: JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!) }
}

test('reconcile finds nothing on equal records, tells orders of lost answers, and names charges of nobody', {
  timeout: 60_000,
}, async () => {
  const sku = await stocked(server.sk, 10, newSku())
  const body = {
    ...paidOrder({ sku, quantity: 2, unit_price: { amount: 500, currency: 'EUR' } }),
    payment: { provider: 'test', method: 'tok_ok' },
  }
  const placed = await server.ask('POST /v1/orders', { body })
  const status = async () => (await server.ask(`GET /v1/orders/${placed.body.id}`)).body.payment.status
  await eventually(async () => (await status()) === 'captured')
  expect(await reconcile()).toMatchObject({ code: 0, json: { told: 0, asked: 0, differences: 0 } })

  // The charge as of long ago, and the order as if it had been given up.
  const sql = openSql(await embeddedUrl(server.data), { max: 1 })
  try {
    const old = limits.reconcileQuietMs + 60_000
    const [{ life }] = (await sql.unsafe('select life from orders.states')) as unknown as [
      { life: { payments: object[] } },
    ]
    Object.assign(life.payments[0]!, { status: 'failed', captured: 0, openedAt: Date.now() - old })
    await sql.unsafe('update orders.states set life = $1::text::json', [JSON.stringify(life)])
    expect(await reconcile()).toMatchObject({ code: 0, json: { charges: 1, told: 1, differences: 0 } })
    expect(await status()).toBe('captured')

    await sql.unsafe(`insert into test_provider.charges (shop_id, payment_id, order_id, amount, currency, capture, captured, refunded, status)
      select shop_id, gen_random_uuid(), gen_random_uuid(), 700, 'EUR', 'now', 700, 0, 'captured' from test_provider.charges limit 1`)
  } finally {
    await sql.end()
  }
  const left = await reconcile()
  expect(left).toMatchObject({
    code: 1,
    json: { differences: 1, first: [{ kind: 'order_unknown', provider: 'test', theirs: 'captured 700' }] },
  })
  expect(left.json.first[0].order_id).toMatch(/^ord_eu1_/)
  expect(await reconcile('--since', new Date(Date.now() - 3_600_000).toISOString())).toMatchObject({ code: 0 })
})

test('a time that is none is refused', async () => {
  expect(await reconcile('--since', 'yesterday')).toMatchObject({ code: 1, json: { error: { code: 'usage' } } })
})
