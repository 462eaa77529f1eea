// Whether our sums can be what a provider says: it may be ahead by what is under way, and by nothing else.
import { describe, expect, test } from 'vitest'
import type { ShopId } from '../../../src/base/ids.ts'
import type { Currency } from '../../../src/base/money.ts'
import {
  type AccountSum,
  type Outside,
  providerDifferences,
  sumsOf,
  sumsTogether,
} from '../../../src/modules/ledger/sums.ts'

const shopId = 1 as ShopId
const currency = 'EUR' as Currency
const account = (name: string, debit: number, credit: number, more: Partial<AccountSum> = {}): AccountSum => ({
  shop_id: shopId,
  account: name,
  currency,
  debit,
  credit,
  balanceDebit: debit,
  balanceCredit: credit,
  ...more,
})
const says = (captured: number, refunded: number) => [{ shopId, currency, captured, refunded }]
const outside = (before = says(1_000, 200), after = before, under: [number, number] = [0, 0]): Outside => ({
  before: new Map([['test', before]]),
  after: new Map([['test', after]]),
  underWay: [{ shopId, provider: 'test', currency, captures: under[0], refunds: under[1] }],
})
const unbooked = (captured: number, refunded: number) => [{ shopId, provider: 'test', currency, captured, refunded }]
const ours = [account('provider:test', 1_000, 200)]

describe('is no difference', () => {
  test.each<[string, AccountSum[], ReturnType<typeof unbooked>, Outside]>([
    ['the same', ours, [], outside()],
    ['a capture that is under way, and done', ours, [], outside(says(1_500, 200), undefined, [500, 0])],
    ['a capture that is under way, and not done', ours, [], outside(undefined, undefined, [500, 0])],
    ['a refund that is under way, and done', ours, [], outside(says(1_000, 300), undefined, [0, 100])],
    ['a capture that the log tells of, and nobody has booked', ours, unbooked(500, 0), outside(says(1_500, 200))],
    [
      'a capture that ended while we looked',
      [account('provider:test', 1_500, 200)],
      [],
      outside(undefined, says(1_500, 200)),
    ],
    ['a capture that began after we had asked', ours, [], outside(undefined, says(1_500, 200))],
    ['nothing on either side', [], [], outside([], [])],
    ['a refund that was taken back', [...ours, account('taken_back:test', 150, 0)], [], outside(says(1_000, 50))],
    ['a refund that was taken back, and nobody has booked', ours, unbooked(0, -150), outside(says(1_000, 50))],
  ])('%s', (_, accounts, waiting, theirs) => {
    expect(providerDifferences(accounts, waiting, theirs)).toEqual([])
  })
})

describe('is a difference', () => {
  test.each<[string, AccountSum[], Outside, object[]]>([
    [
      'more taken than is under way',
      ours,
      outside(says(1_501, 200), undefined, [500, 0]),
      [{ what: 'test captured', expected: 1_501, actual: 1_000 }],
    ],
    [
      'less taken than is booked',
      ours,
      outside(says(999, 200)),
      [{ what: 'test captured', expected: 999, actual: 1_000 }],
    ],
    [
      'more given back than is under way',
      ours,
      outside(says(1_000, 301), undefined, [900, 100]),
      [{ what: 'test refunded', expected: 301 }],
    ],
    [
      'less given back than is booked',
      ours,
      outside(says(1_000, 0)),
      [{ what: 'test refunded', expected: 0, actual: 200 }],
    ],
    [
      'what the provider knows nothing of',
      ours,
      outside([], []),
      [
        { what: 'test captured', expected: 0 },
        { what: 'test refunded', expected: 0 },
      ],
    ],
    [
      'a refund that was taken back, of which the provider knows nothing',
      [...ours, account('taken_back:test', 150, 0)],
      outside(),
      [{ what: 'test refunded', expected: 200, actual: 50 }],
    ],
    ['what we know nothing of', [], outside(says(5, 0)), [{ what: 'test captured', expected: 5, actual: 0 }]],
  ])('%s', (_, accounts, theirs, differences) => {
    expect(providerDifferences(accounts, [], theirs)).toMatchObject(differences)
  })

  test('what one shop has too much does not make up for what another has too little', () => {
    const other = { shop_id: 2 as ShopId }
    const accounts = [account('provider:test', 1_000, 200), account('provider:test', 300, 0, other)]
    const theirs = [...says(900, 200), { ...says(400, 0)[0]!, shopId: other.shop_id }]
    expect(providerDifferences(accounts, [], outside(theirs)).map(({ shopId: shop }) => shop)).toEqual([1, 2])
  })
})

test('sums are told by shop and currency; a provider without a record says nothing', () => {
  const accounts = [
    account('sales', 100, 1_100),
    account('receivable', 1_100, 1_100),
    account('provider:test', 1_000, 200),
    account('provider:stripe', 50, 0),
    account('taken_back:test', 40, 0),
    account('external', 300, 100),
    account('authorizations', 70, 100),
    account('authorized:test', 100, 70),
    account('fees', 7, 0),
    account('payable', 0, 7),
    account('written_off', 3, 0),
    account('sales', 0, 5, { currency: 'GBP' }),
  ]
  const sums = sumsOf(accounts, outside()).get(shopId)!
  expect(sums.map((one) => one.currency)).toEqual(['EUR', 'GBP'])
  expect(sums[0]).toEqual({
    currency: 'EUR',
    sales: 1_000,
    captured: 1_350,
    refunded: 260,
    authorized: 30,
    receivable: 0,
    external: 200,
    fees: 7,
    written_off: 3,
    providers: { test: { ours: 840, theirs: 800 }, stripe: { ours: 50, theirs: null } },
  })
  const twice = sumsTogether([{ sums }, { sums }])
  expect(twice[0]).toMatchObject({
    sales: 2_000,
    providers: { test: { ours: 1_680, theirs: 1_600 }, stripe: { ours: 100, theirs: null } },
  })
  expect(twice[1]).toMatchObject({ currency: 'GBP', sales: 10 })
})
