// What the rules say of an order: the strictest wins, every reason is told, and what is not set says nothing.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assess, strictest } from '../../../src/modules/risk/decide.ts'
import type { Assessment, RiskFacts } from '../../../src/modules/risk/types.ts'
import { defaultSettings, riskRulesOf, type SettingsBody, settingsOf } from '../../../src/modules/shops/settings.ts'

const facts: RiskFacts = {
  amount: 10_000,
  currency: 'EUR',
  email: 'Ann@Mail.Example.com',
  customer: '17850',
  country: 'AT',
  units: 3,
  recent: { byEmail: 4, byCustomer: 1 },
}
const judge = (risk: SettingsBody['risk'], more: Partial<RiskFacts> = {}): Assessment =>
  assess({ ...facts, ...more }, riskRulesOf(settingsOf({ risk }))!)

describe('the rules', () => {
  test('are off by default, so that there is nothing to assess', () => {
    expect(riskRulesOf(defaultSettings)).toBeNull()
    expect(riskRulesOf(settingsOf({ risk: { review: { emails: [] } } }))).toBeNull()
  })

  test.each<[string, SettingsBody['risk'], Partial<RiskFacts>, Assessment]>([
    ['an amount at the bound is allowed', { review_above: { EUR: 10_000 } }, {}, { decision: 'allow', reasons: [] }],
    [
      'above it is reviewed',
      { review_above: { EUR: 9_999 } },
      {},
      { decision: 'review', reasons: ['amount_above_review'] },
    ],
    ['in another currency it says nothing', { refuse_above: { USD: 1 } }, {}, { decision: 'allow', reasons: [] }],
    [
      'above both it is refused, and both are told',
      { review_above: { EUR: 1 }, refuse_above: { EUR: 2 } },
      {},
      { decision: 'refuse', reasons: ['amount_above_refuse', 'amount_above_review'] },
    ],
    [
      'an e-mail in any case',
      { refuse: { emails: ['ann@mail.example.COM'] } },
      {},
      { decision: 'refuse', reasons: ['email_refused'] },
    ],
    [
      'a domain and its subdomains',
      { review: { email_domains: ['Example.com'] } },
      {},
      { decision: 'review', reasons: ['email_domain_reviewed'] },
    ],
    [
      'no domain that only ends alike',
      { review: { email_domains: ['ample.com'] } },
      {},
      { decision: 'allow', reasons: [] },
    ],
    ['a country', { refuse: { countries: ['AT'] } }, {}, { decision: 'refuse', reasons: ['country_refused'] }],
    [
      'no country where none is known',
      { refuse: { countries: ['AT'] } },
      { country: null },
      { decision: 'allow', reasons: [] },
    ],
    ['the last order that an hour may have', { orders_per_hour: { email: 5 } }, {}, { decision: 'allow', reasons: [] }],
    [
      'one more than that',
      { orders_per_hour: { email: 4 } },
      {},
      { decision: 'review', reasons: ['email_orders_per_hour'] },
    ],
    [
      'of a customer',
      { orders_per_hour: { customer: 1 } },
      {},
      { decision: 'review', reasons: ['customer_orders_per_hour'] },
    ],
    [
      'nothing where the count did not come',
      { orders_per_hour: { email: 1 } },
      { recent: { byEmail: null, byCustomer: null } },
      { decision: 'allow', reasons: [] },
    ],
  ])('%s', (_, risk, more, expected) => {
    expect(judge(risk, more)).toEqual(expected)
  })

  test('an order that asks for less is never judged harder', () => {
    const amounts = fc.tuple(fc.nat(20_000), fc.nat(20_000)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
    const severity = { allow: 0, review: 1, refuse: 2 }
    fc.assert(
      fc.property(amounts, fc.nat(20_000), fc.nat(20_000), ([less, more], review, refuse) => {
        const risk = { review_above: { EUR: review }, refuse_above: { EUR: refuse } }
        const [small, large] = [judge(risk, { amount: less }), judge(risk, { amount: more })]
        expect(severity[small.decision]).toBeLessThanOrEqual(severity[large.decision])
      }),
    )
  })
})

test('of several assessors the strictest decides, and each reason is told once', () => {
  const review: Assessment = { decision: 'review', reasons: ['a', 'b'] }
  const refuse: Assessment = { decision: 'refuse', reasons: ['c', 'a'] }
  expect(strictest([])).toEqual({ decision: 'allow', reasons: [] })
  expect(strictest([{ decision: 'allow', reasons: ['fine'] }, review])).toEqual(review)
  expect(strictest([review, refuse])).toEqual({ decision: 'refuse', reasons: ['c', 'a', 'b'] })
})
