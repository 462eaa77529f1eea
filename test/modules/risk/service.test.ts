// An order is assessed within its time or not at all: what is late or broken is left out and counted, and never costs a sale.
import { expect, test } from 'vitest'
import type { ShopId, Uuid } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import { instant } from '../../../src/base/time.ts'
import { defaultTerms } from '../../../src/modules/orders/life.ts'
import type { PlaceOrder } from '../../../src/modules/orders/types.ts'
import { assess } from '../../../src/modules/risk/decide.ts'
import { createRisk } from '../../../src/modules/risk/service.ts'
import type { Assessor, RiskRules } from '../../../src/modules/risk/types.ts'
import { riskRulesOf, type SettingsBody, settingsOf } from '../../../src/modules/shops/settings.ts'
import { manualClock } from '../../../src/runtime/clock.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { assessorContract } from '../../contract/assessor.contract.ts'
import { eventually } from '../../support/eventually.ts'

const now = instant(1_780_000_000_000)
const rulesOf = (risk: SettingsBody['risk']): RiskRules => riskRulesOf(settingsOf({ risk }))!

const order = (): PlaceOrder => ({
  kind: 'place_order',
  shopId: 1 as ShopId,
  orderId: '019c0000-0000-7000-8000-000000000001' as Uuid,
  currency: 'EUR' as never,
  lines: [{ sku: 'A-1' as never, quantity: 2, unitPrice: 500 as never, amount: 1_000 as never }],
  holdId: null,
  customer: '17850',
  reference: null,
  provider: null,
  payment: null,
  terms: { ...defaultTerms, reservationMs: 1 },
  review: null,
  placedAt: null,
  personal: { email: 'ann@example.com', address: { country: 'AT' }, note: null },
  annotations: null,
})

function risk(options: { assessors?: Assessor[]; query?: Database['query'] } = {}) {
  const clock = manualClock(now)
  const told: string[] = []
  const assessOrder = createRisk({
    clock,
    database: { query: options.query ?? (() => Promise.reject(new Error('nothing is read'))) },
    assessors: options.assessors ?? [],
    metrics: {
      onAssessed: (decision) => void told.push(decision),
      onFailure: (who, why) => void told.push(`${who} ${why}`),
    },
  })
  return { clock, told, assessOrder }
}

const saying = (decision: 'allow' | 'review' | 'refuse', ...reasons: string[]): Assessor => ({
  name: decision,
  assess: async () => ({ decision, reasons }),
})

test('without rules and assessors nothing is asked, and imports are not assessed', () => {
  const command = order()
  expect(risk().assessOrder({ risk: null }, command, now)).toBeUndefined()
  const strict = risk({ assessors: [saying('refuse', 'no')] })
  expect(strict.assessOrder({ risk: null }, { ...command, placedAt: now }, now)).toBeUndefined()
})

test('what was found is noted in the command: nothing, why to review it, or why to refuse it', async () => {
  const { assessOrder, told } = risk()
  const [fine, reviewed, refused] = [order(), order(), order()]
  await assessOrder({ risk: rulesOf({ review_above: { EUR: 1_000 } }) }, fine, now)
  await assessOrder({ risk: rulesOf({ review_above: { EUR: 999 } }) }, reviewed, now)
  await assessOrder({ risk: rulesOf({ refuse: { countries: ['AT'] } }) }, refused, now)
  expect(fine).toEqual(order())
  expect(reviewed).toEqual({ ...order(), review: ['amount_above_review'] })
  expect(refused).toEqual({ ...order(), refusal: ['country_refused'] })
  expect(told).toEqual(['allow', 'review', 'refuse'])
})

test('an assessor that does not answer in time is told so, left out and counted; the rules still hold', async () => {
  let aborted = false
  const silent: Assessor = {
    name: 'silent',
    assess: (_, signal) =>
      new Promise(() => {
        signal.addEventListener('abort', () => {
          aborted = true
        })
      }),
  }
  const { assessOrder, told, clock } = risk({ assessors: [silent, saying('allow')] })
  const command = order()
  const assessing = assessOrder({ risk: rulesOf({ review_above: { EUR: 1 } }) }, command, now)
  await eventually(() => clock.sleepers > 0)
  clock.pass(limits.riskMsMax)
  await assessing
  expect(command.review).toEqual(['amount_above_review'])
  expect(told).toEqual(['silent timeout', 'review'])
  expect(aborted).toBe(true)
})

test('one that throws, at once or later, allows and is counted', async () => {
  const throwing: Assessor = {
    name: 'throwing',
    assess: () => {
      throw new Error('at once')
    },
  }
  const rejecting: Assessor = { name: 'rejecting', assess: () => Promise.reject(new Error('later')) }
  const { assessOrder, told, clock } = risk({ assessors: [throwing, rejecting] })
  const command = order()
  await assessOrder({ risk: null }, command, now)
  expect(command).toEqual(order())
  expect(told.sort()).toEqual(['allow', 'rejecting error', 'throwing error'])
  expect(clock.sleepers).toBe(0) // no timer is left behind
})

test('orders of the last hour are counted only for a rule that needs them, and a count that fails costs nothing', async () => {
  const asked: unknown[] = []
  const query = (async (_: string, params: unknown[]) => {
    asked.push(params.slice(2))
    return [{ byEmail: 2, byCustomer: null }]
  }) as unknown as Database['query']
  const counting = risk({ query })
  const command = order()
  await counting.assessOrder({ risk: rulesOf({ orders_per_hour: { email: 2 } }) }, command, now)
  expect(command.review).toEqual(['email_orders_per_hour'])
  expect(asked).toEqual([['ann@example.com', null]])
  const anonymous = { ...order(), personal: null }
  await counting.assessOrder({ risk: rulesOf({ orders_per_hour: { email: 2 } }) }, anonymous, now)
  expect(asked).toHaveLength(1)

  const broken = risk()
  const other = order()
  await broken.assessOrder({ risk: rulesOf({ orders_per_hour: { email: 1 } }) }, other, now)
  expect(other.review).toBeNull()
  expect(broken.told).toEqual(['velocity error', 'allow'])
})

const rules = rulesOf({ review_above: { EUR: 0 }, refuse: { countries: ['AT'] } })
assessorContract('the rules as an assessor', () => ({
  name: 'rules',
  assess: async ({ facts }) => assess(facts, rules),
}))
