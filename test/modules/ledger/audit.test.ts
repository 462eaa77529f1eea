// The audit of money on a whole cell: it is quiet while money moves, and says so when anything that it looks at is changed
// behind everybody's back.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseWireId } from '../../../src/base/ids.ts'
import { newRounds, runMoneyAudit } from '../../../src/modules/ledger/audit.ts'
import { readBookedSeq } from '../../../src/modules/ledger/store.ts'
import type { Settlement } from '../../../src/modules/orders/types.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { openEngine, shopId, submission } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../../support/http-cell.ts'

let cell: HttpCell
const ids: Record<'paid' | 'elsewhere' | 'cancelled' | 'refunded', string> = {
  paid: '',
  elsewhere: '',
  cancelled: '',
  refunded: '',
}

const pay = (method: string) => ({ payment: { provider: 'test', method } })
async function place(quantity: number, more: object, status: string): Promise<string> {
  const { json } = await cell.call('POST', '/v1/orders', { body: orderBody('A-1', quantity, more) })
  await until(json.id, (order) => order.status === status)
  return json.id
}
const until = (id: string, holds: (order: HttpCellOrder) => boolean) =>
  eventually(async () => holds((await cell.call('GET', `/v1/orders/${id}`)).json), 10_000)
type HttpCellOrder = { status: string; payment: { status: string } }

const audit = async () => (await cell.call('GET', '/v1/audit?fresh=true')).json
const found = async () => {
  const { consistent, money } = await audit()
  expect(consistent).toBe(money.differences.length === 0)
  return money.differences as {
    check: string
    what: string
    order_id: string | null
    expected: number
    actual: number
  }[]
}
/** As a superuser who knows how to get past a trigger. */
const bypassing = (text: string) =>
  cell.database.transaction(async (session) => {
    await session.run('set local session_replication_role = replica')
    await session.run(text)
  })
const uuidOf = (id: string) => parseWireId(id)!.uuid

beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 1_000)
  ids.paid = await place(2, pay('tok_ok'), 'confirmed')
  ids.elsewhere = await place(3, { payment: { provider: 'none' } }, 'confirmed')
  ids.cancelled = await place(4, pay('tok_ok'), 'confirmed')
  ids.refunded = await place(5, pay('tok_ok'), 'confirmed')
  await place(1, pay('tok_declined'), 'pending')
  await cell.call('POST', `/v1/orders/${ids.cancelled}/cancel`, { body: { reason: 'buyer' } })
  const amount = { amount: 700, currency: 'EUR' }
  await cell.call('POST', `/v1/orders/${ids.refunded}/refunds`, { body: { amount, reason: 'goodwill' } })
  await until(ids.cancelled, (order) => order.payment.status === 'refunded')
  await until(ids.refunded, (order) => order.payment.status === 'partially_refunded')
}, 60_000)
afterAll(async () => {
  await cell.stop()
})

test('captured less refunded is what standing orders cost, and what the provider says', async () => {
  const { consistent, money } = await audit()
  expect(money).toEqual({
    behind: 0,
    dead: 0,
    sums: [
      {
        currency: 'EUR',
        sales: 1_000 + 1_500 + 1_800,
        captured: 1_000 + 1_500 + 2_000 + 2_500,
        refunded: 2_000 + 700,
        authorized: 0,
        receivable: 0,
        external: 1_500,
        fees: 0,
        written_off: 0,
        providers: { test: { ours: 2_800, theirs: 2_800 } },
      },
    ],
    differences: [],
  })
  expect(consistent).toBe(true)
  const { text } = await cell.call('GET', '/metrics', { as: null })
  expect(text).toContain('holdfast_audit_differences{of="money",cell="eu1"} 0')
  expect(text).toContain('holdfast_ledger_behind_events{cell="eu1"} 0')
})

describe('what is changed is found, and found again until it is put right', () => {
  const someOrder = () => `'${uuidOf(ids.paid)}'`
  test.each<[string, () => string, () => string, () => object]>([
    [
      'an entry of a sale',
      () => `update ledger.entries set amount = amount + 1 where order_id = ${someOrder()} and credit = 'sales'`,
      () => `update ledger.entries set amount = amount - 1 where order_id = ${someOrder()} and credit = 'sales'`,
      () => ({ check: 'orders', what: 'sales', order_id: ids.paid, expected: 1_000, actual: 1_001 }),
    ],
    [
      'the order of an entry',
      () =>
        `update ledger.entries set order_id = '${uuidOf(ids.refunded)}' where order_id = ${someOrder()} and debit = 'provider:test'`,
      () =>
        `update ledger.entries set order_id = ${someOrder()} where order_id = '${uuidOf(ids.refunded)}' and debit = 'provider:test' and amount = 1000`,
      () => ({ check: 'orders', what: 'captured', order_id: ids.paid, expected: 1_000, actual: 0 }),
    ],
    [
      'a balance',
      () => `update ledger.balances set credit = credit + 5 where account = 'provider:test'`,
      () => `update ledger.balances set credit = credit - 5 where account = 'provider:test'`,
      () => ({ check: 'balances', what: 'provider:test credit', order_id: null, expected: 2_700, actual: 2_705 }),
    ],
    [
      'a balance that is gone',
      () => `update ledger.balances set account = 'gone' where account = 'external'`,
      () => `update ledger.balances set account = 'external' where account = 'gone'`,
      () => ({ check: 'balances', what: 'external debit', expected: 1_500, actual: 0 }),
    ],
    [
      'what the provider took',
      () =>
        `update test_provider.charges set amount = amount + 9, captured = captured + 9 where order_id = ${someOrder()}`,
      () =>
        `update test_provider.charges set amount = amount - 9, captured = captured - 9 where order_id = ${someOrder()}`,
      () => ({ check: 'providers', what: 'test captured', expected: 5_509, actual: 5_500 }),
    ],
    [
      'what the provider gave back',
      () => `update test_provider.charges set refunded = refunded - 7 where refunded = 700`,
      () => `update test_provider.charges set refunded = refunded + 7 where refunded = 693`,
      () => ({ check: 'providers', what: 'test refunded', expected: 2_693, actual: 2_700 }),
    ],
    [
      'what an order says it has taken',
      () =>
        `update orders.states set life = jsonb_set(life::jsonb, '{payments,0,captured}', '400') where id = ${someOrder()}`,
      () =>
        `update orders.states set life = jsonb_set(life::jsonb, '{payments,0,captured}', '1000') where id = ${someOrder()}`,
      () => ({ check: 'orders', what: 'captured', order_id: ids.paid, expected: 400, actual: 1_000 }),
    ],
    [
      'what an order says it has given back',
      () =>
        `update orders.states set life = jsonb_set(life::jsonb, '{refunds,0,status}', '"failed"') where id = '${uuidOf(ids.refunded)}'`,
      () =>
        `update orders.states set life = jsonb_set(life::jsonb, '{refunds,0,status}', '"refunded"') where id = '${uuidOf(ids.refunded)}'`,
      () => ({ check: 'orders', what: 'refunded', order_id: ids.refunded, expected: 0, actual: 700 }),
    ],
    [
      'whether an order stands',
      () =>
        `update orders.states set status = 'cancelled', cancel_reason = 'buyer' where id = '${uuidOf(ids.elsewhere)}'`,
      () => `update orders.states set status = 'confirmed', cancel_reason = null where id = '${uuidOf(ids.elsewhere)}'`,
      () => ({ check: 'orders', what: 'sales', order_id: ids.elsewhere, expected: 0, actual: 1_500 }),
    ],
  ])('%s', async (_, corrupt, repair, difference) => {
    expect(await found()).toEqual([])
    await bypassing(corrupt())
    const [first, again] = [await found(), await found()]
    await bypassing(repair())
    expect(first).toContainEqual(expect.objectContaining(difference()))
    expect(again).toEqual(first)
    expect(await found()).toEqual([])
  })

  test('an entry that is changed before its stretch was closed', async () => {
    const id = await place(1, { payment: { provider: 'none' } }, 'confirmed')
    const where = `where order_id = '${uuidOf(id)}' and debit = 'external'`
    await eventually(async () => (await cell.database.query(`select from ledger.entries ${where}`)).length === 1)
    await bypassing(`update ledger.entries set amount = 400 ${where}`)
    const first = await found()
    await bypassing(`update ledger.entries set amount = 500 ${where}`)
    expect(first).toContainEqual(
      expect.objectContaining({ check: 'entries', what: 'external to receivable', expected: 500, actual: 400 }),
    )
    expect(first).toContainEqual(
      expect.objectContaining({ check: 'unsettled', order_id: id, expected: 0, actual: 100 }),
    )
    expect(await found()).toEqual([])
  })
})

test('a few orders a run, every order has its turn, and what was found wrong is looked at every time', async () => {
  const rounds = newRounds()
  const run = async () => {
    const outside = { providers: [], underWay: async () => [], whenBooked: async () => {} }
    const settledSeq = () => readBookedSeq(cell.database)
    const deps = { database: cell.database, settledSeq, now: systemClock.now, ...outside }
    const { shops } = await runMoneyAudit(deps, rounds, 2)
    return [...shops.values()].flatMap(({ differences }) => differences)
  }
  const life = (captured: number) =>
    `update orders.states set life = jsonb_set(life::jsonb, '{payments,0,captured}', '${captured}') where id = '${uuidOf(ids.refunded)}'`
  await bypassing(life(1))
  expect(await run()).toEqual([]) // it is not among the first two
  await eventually(async () => (await run()).length > 0)
  for (let more = 0; more < 5; more++) expect(await run()).toMatchObject([{ order_id: ids.refunded, what: 'captured' }])
  await bypassing(life(2_500))
  expect(await run()).toEqual([])
})

test('a refund that its provider took back is booked back, and the two records agree again', async () => {
  const order = (await cell.call('GET', `/v1/orders/${ids.refunded}`)).json
  const id = uuidOf(order.refunds[0].id)
  const engine = openEngine(cell.database)
  const settle = (settlement: Settlement) =>
    engine.run(submission({ kind: 'settle', shopId, orderId: uuidOf(ids.refunded), settlement }, null))
  await settle({ of: 'refund', id, says: 'failed', error: 'closed_account' })
  const providerIs = (refunded: number) =>
    bypassing(
      `update test_provider.charges set refunded = ${refunded} where order_id = '${uuidOf(ids.refunded)}' and captured = 2500`,
    )
  await providerIs(0)
  // It stands in the dead letters from now on, and may have been made again by then: both are right.
  const isDead = "select from payments.operations where kind = 'refund' and state = 'dead'"
  await eventually(async () => (await cell.database.query(isDead)).length === 1)
  const { consistent, money } = await audit()
  expect(money.differences).toEqual([])
  expect(consistent).toBe(true)
  expect(money.sums[0]).toMatchObject({ refunded: 2_000, receivable: -700 })
  expect(money.sums[0].providers.test.ours).toBe(money.sums[0].providers.test.theirs)
  const entries = await cell.call('GET', `/v1/ledger/entries?order=${ids.refunded}&account=taken_back:test`)
  expect(entries.json.data).toMatchObject([{ debit: 'taken_back:test', credit: 'receivable', amount: { amount: 700 } }])
  await settle({ of: 'refund', id, says: 'refunded' }) // made after all
  await engine.close()
  await providerIs(700)
  expect(await found()).toEqual([])
})

describe('what is under way is no difference', () => {
  test('a provider that has charged and does not answer', async () => {
    const body = orderBody('A-1', 2, pay('tok_timeout'))
    const { json } = await cell.call('POST', '/v1/orders', { body })
    const charged = `select from test_provider.charges where order_id = '${uuidOf(json.id)}' and captured = 1000`
    await eventually(async () => (await cell.database.query(charged)).length === 1, 10_000)
    expect(await found()).toEqual([])
  })

  test('a ledger that has not read on says that it is behind, and is right so far', async () => {
    const pause = (paused: boolean) =>
      bypassing(`update runtime.consumers set paused = ${paused} where name = 'ledger'`)
    await pause(true)
    const id = await place(2, pay('tok_ok'), 'confirmed')
    const { consistent, money } = await audit()
    expect(money.behind).toBeGreaterThan(0)
    expect(money.differences).toEqual([])
    expect(consistent).toBe(true)
    await pause(false)
    await eventually(async () => (await audit()).money.behind === 0, 10_000)
    expect((await cell.call('GET', `/v1/ledger/entries?order=${id}`)).json.data).toHaveLength(2)
    expect(await found()).toEqual([])
  })
})
