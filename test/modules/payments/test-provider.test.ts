// The test provider keeps a provider's promises: the same key does once, however often and from wherever it is sent, and its
// record says what it did.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MinorUnits } from '../../../src/base/money.ts'
import { instant } from '../../../src/base/time.ts'
import { createTestProvider, type TestProvider } from '../../../src/modules/payments/test-provider.ts'
import type { Operation } from '../../../src/modules/payments/types.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { newUuid, openTestCell, shopId } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'

let database: Database
let provider: TestProvider
let sameElsewhere: TestProvider
beforeAll(async () => {
  database = await openTestCell()
  provider = createTestProvider(database, systemClock)
  sameElsewhere = createTestProvider(database, systemClock)
})
afterAll(() => database.close())

const { signal } = new AbortController()
const authorization = (method = 'tok_ok', capture: 'now' | 'later' = 'now'): Operation => {
  const id = newUuid()
  const ids = { shopId, id, paymentId: id, orderId: newUuid() }
  const money = { amount: 1000 as MinorUnits, currency: 'EUR' as Operation['currency'] }
  return {
    ...ids,
    ...money,
    kind: 'authorize',
    provider: 'test',
    method,
    capture,
    reference: null,
    askedAt: instant(0),
  }
}
const then = (operation: Operation, kind: Operation['kind'], amount: number = operation.amount): Operation => ({
  ...operation,
  id: newUuid(),
  kind,
  amount: amount as MinorUnits,
})
const perform = (operation: Operation) => provider.perform(operation, signal)
const chargeOf = async ({ orderId }: Operation) => {
  const charges = await provider.charges({ shopId, orderId, after: null, limit: 10 })
  expect(charges).toHaveLength(1)
  return charges[0]!
}

test('the same key charges once, from two processes at the same time', async () => {
  const operations = Array.from({ length: 50 }, () => authorization())
  const answers = await Promise.all(
    operations.flatMap((one) => [perform(one), sameElsewhere.perform(one, signal), perform(one)]),
  )
  expect(new Set(answers.map((answer) => typeof answer === 'object' && answer.says))).toEqual(new Set(['captured']))
  for (const one of operations) expect(await chargeOf(one)).toMatchObject({ captured: 1000, status: 'captured' })
})

test('captures, voids and refunds are done once under their key, and never beyond what there is', async () => {
  const one = authorization('tok_ok', 'later')
  expect(await perform(one)).toMatchObject({ says: 'authorized' })
  expect(await perform(then(one, 'capture', 1001))).toEqual({ says: 'failed', error: 'amount_too_large' })
  const capture = then(one, 'capture', 800)
  const captures = await Promise.all([perform(capture), sameElsewhere.perform(capture, signal), perform(capture)])
  for (const answer of captures) expect(answer).toMatchObject({ says: 'captured', amount: 800 })
  expect(await perform(then(one, 'void'))).toMatchObject({ says: 'captured', amount: 800 })
  expect(await perform(then(one, 'refund', 801))).toEqual({ says: 'failed', error: 'refund_too_large' })
  const part = then(one, 'refund', 300)
  await Promise.all([perform(part), sameElsewhere.perform(part, signal)])
  expect(await chargeOf(one)).toMatchObject({ captured: 800, refunded: 300, status: 'captured' })
  expect(await perform(then(one, 'refund', 500))).toMatchObject({ says: 'refunded' })
  expect(await chargeOf(one)).toMatchObject({ captured: 800, refunded: 800, status: 'refunded' })
})

test('what was voided cannot be captured, and voiding it again says so', async () => {
  const one = authorization('tok_ok', 'later')
  await perform(one)
  expect(await perform(then(one, 'void'))).toMatchObject({ says: 'voided' })
  expect(await perform(then(one, 'void'))).toMatchObject({ says: 'voided' })
  expect(await perform(then(one, 'capture'))).toEqual({ says: 'failed', error: 'charge_voided' })
  expect(await chargeOf(one)).toMatchObject({ captured: 0, status: 'voided' })
})

test('it tells what became of a key, and of one that it has not heard', async () => {
  const [done, declined, unheard, slow] = [
    authorization(),
    authorization('tok_declined'),
    authorization(),
    authorization('tok_slow'),
  ]
  await Promise.all([perform(done), perform(declined)])
  const impatient = new AbortController()
  const waiting = provider.perform(slow, impatient.signal)
  expect(await provider.lookUp(done, signal)).toMatchObject({ says: 'captured', amount: 1000 })
  expect(await provider.lookUp(declined, signal)).toEqual({ says: 'failed', error: 'card_declined' })
  expect(await provider.lookUp(unheard, signal)).toBe('never_heard')
  expect(await provider.lookUp(then(done, 'refund'), signal)).toBe('never_heard')
  const query = { shopId, orderId: slow.orderId, after: null, limit: 1 }
  await eventually(async () => (await provider.charges(query)).length === 1)
  expect(await provider.lookUp(slow, signal)).toBe('in_progress')
  impatient.abort()
  await expect(waiting).rejects.toThrow('too slow')
})

test('the one for benches takes two seconds, and loses about a tenth of its answers though it charges', {
  timeout: 15_000,
}, async () => {
  const impatient = AbortSignal.timeout(4_000)
  const operations = Array.from({ length: 100 }, () => authorization('tok_laggy'))
  const answers = await Promise.allSettled(operations.map((one) => provider.perform(one, impatient)))
  const lost = answers.filter(({ status }) => status === 'rejected').length
  expect(lost).toBeGreaterThan(0)
  expect(lost).toBeLessThan(35)
  for (const one of operations) {
    expect(await chargeOf(one)).toMatchObject({ captured: 1000 })
    expect(await provider.lookUp(one, signal)).toMatchObject({ says: 'captured' })
  }
})

test('its whole record can be paged through', async () => {
  const seen: string[] = []
  for (let after: string | null = null; ; ) {
    const page = await provider.charges({ shopId, orderId: null, after, limit: 7 })
    seen.push(...page.map(({ id }) => id))
    if (page.length < 7) break
    after = page.at(-1)!.id
  }
  const [row] = await database.query<{ count: number }>('select count(*) from test_provider.charges')
  expect(seen).toHaveLength(row!.count)
  expect(new Set(seen).size).toBe(seen.length)
})
