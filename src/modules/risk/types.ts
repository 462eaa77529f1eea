// Words of risk: what is known of an order before it is placed, what a shop wants to look at or refuse, and who assesses.
import type { ShopId } from '../../base/ids.ts'
import type { Instant } from '../../base/time.ts'

export type RiskFacts = {
  amount: number
  currency: string
  email: string | null
  /** The caller's own word for the customer. */
  customer: string | null
  /** Where it goes. */
  country: string | null
  /** Units of all lines. */
  units: number
  /** Orders of the last hour; null when nobody has asked, or the answer did not come in time. */
  recent: { byEmail: number | null; byCustomer: number | null }
}

export type RiskList = {
  /** In lower case. */
  emails: ReadonlySet<string>
  /** In lower case; their subdomains count too. */
  emailDomains: ReadonlySet<string>
  countries: ReadonlySet<string>
}

/** The rules of one shop, ready to be applied. */
export type RiskRules = {
  /** In minor units, by currency. */
  reviewAbove: ReadonlyMap<string, number>
  refuseAbove: ReadonlyMap<string, number>
  /** Orders an hour; null: no bound. */
  emailOrdersMax: number | null
  customerOrdersMax: number | null
  review: RiskList
  refuse: RiskList
}

/** Reasons are stable words, such as `amount_above_review`. */
export type Assessment = { decision: 'allow' | 'review' | 'refuse'; reasons: string[] }

/** The facts, and for what order. Never the whole order: what an assessor is not told, it cannot leak. */
export type RiskQuestion = { shopId: ShopId; facts: RiskFacts; now: Instant }

/**
 * Somebody who assesses orders besides the rules. It is given `riskMsMax`; one that does not answer by then, or throws, counts
 * as one that allows. Contract: test/contract/assessor.contract.ts.
 */
export type Assessor = {
  readonly name: string
  assess(question: RiskQuestion, signal: AbortSignal): Promise<Assessment>
}
