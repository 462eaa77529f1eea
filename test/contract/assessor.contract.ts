// What every assessor of orders promises. Whoever brings one calls `assessorContract` with a way to make it.
import { describe, expect, test } from 'vitest'
import type { ShopId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { instant } from '../../src/base/time.ts'
import type { Assessor, RiskFacts, RiskQuestion } from '../../src/modules/risk/types.ts'

const least: RiskFacts = {
  amount: 0,
  currency: 'EUR',
  email: null,
  customer: null,
  country: null,
  units: 1,
  recent: { byEmail: null, byCustomer: null },
}
const most: RiskFacts = {
  amount: 1_000_000_000_000,
  currency: 'JPY',
  email: `${'a'.repeat(240)}@example.com`,
  customer: 'c'.repeat(limits.referenceCharactersMax),
  country: 'AT',
  units: 2_000_000_000,
  recent: { byEmail: 1_000_000, byCustomer: 1_000_000 },
}

export function assessorContract(name: string, make: () => Assessor): void {
  const question = (facts: RiskFacts): RiskQuestion => ({ shopId: 1 as ShopId, facts, now: instant(1_780_000_000_000) })
  const ask = (facts: RiskFacts) => make().assess(question(facts), AbortSignal.timeout(limits.riskMsMax))

  describe(name, () => {
    test.each([
      ['with the least that can be known of an order', least],
      ['with the most', most],
    ])('answers in time %s', async (_, facts) => {
      const { decision, reasons } = await ask(facts)
      expect(['allow', 'review', 'refuse']).toContain(decision)
      expect(reasons.every((reason) => /^[a-z][a-z0-9_]{0,63}$/.test(reason))).toBe(true)
      if (decision !== 'allow') expect(reasons.length).toBeGreaterThan(0)
    })

    test('leaves what it was asked as it was', async () => {
      const asked = structuredClone(most)
      await ask(asked)
      expect(asked).toEqual(most)
    })

    test('ends soon when its answer is not wanted any more', async () => {
      const stopped = AbortSignal.abort()
      await make()
        .assess(question(least), stopped)
        .catch(() => undefined)
    })
  })
}
