// What the rules of a shop say of an order. Pure; the strictest rule that applies wins, and all reasons are told.
import type { Assessment, RiskFacts, RiskList, RiskRules } from './types.ts'

const allowed: Assessment = { decision: 'allow', reasons: [] }

export function assess(facts: RiskFacts, rules: RiskRules): Assessment {
  const refuse = [
    ...(isAbove(facts, rules.refuseAbove) ? ['amount_above_refuse'] : []),
    ...onList(facts, rules.refuse).map((what) => `${what}_refused`),
  ]
  const review = [
    ...(isAbove(facts, rules.reviewAbove) ? ['amount_above_review'] : []),
    ...onList(facts, rules.review).map((what) => `${what}_reviewed`),
    ...(isTooMany(facts.recent.byEmail, rules.emailOrdersMax) ? ['email_orders_per_hour'] : []),
    ...(isTooMany(facts.recent.byCustomer, rules.customerOrdersMax) ? ['customer_orders_per_hour'] : []),
  ]
  return asOne(refuse, review)
}

function asOne(refuse: readonly string[], review: readonly string[]): Assessment {
  if (refuse.length > 0) return { decision: 'refuse', reasons: [...refuse, ...review] }
  return review.length > 0 ? { decision: 'review', reasons: [...review] } : allowed
}

/** Several assessors as one: the strictest decision, everybody's reasons, each once. */
export function strictest(assessments: readonly Assessment[]): Assessment {
  const told = (decision: Assessment['decision']) => [
    ...new Set(assessments.flatMap((one) => (one.decision === decision ? one.reasons : []))),
  ]
  if (assessments.some(({ decision }) => decision === 'refuse'))
    return { decision: 'refuse', reasons: [...new Set([...told('refuse'), ...told('review')])] }
  if (assessments.some(({ decision }) => decision === 'review')) return { decision: 'review', reasons: told('review') }
  return allowed
}

const isAbove = ({ amount, currency }: RiskFacts, bounds: ReadonlyMap<string, number>): boolean =>
  amount > (bounds.get(currency) ?? Number.POSITIVE_INFINITY)

/** With this order, which is not counted yet. */
const isTooMany = (recent: number | null, max: number | null): boolean =>
  recent !== null && max !== null && recent + 1 > max

function onList({ email, country }: RiskFacts, list: RiskList): string[] {
  const address = email?.toLowerCase() ?? null
  return [
    ...(address !== null && list.emails.has(address) ? ['email'] : []),
    ...(address !== null && list.emailDomains.size > 0 && isDomainListed(address, list) ? ['email_domain'] : []),
    ...(country !== null && list.countries.has(country) ? ['country'] : []),
  ]
}

/** The domain itself and all it is a part of: `mail.example.com`, `example.com`, `com`. */
function isDomainListed(address: string, { emailDomains }: RiskList): boolean {
  const parts = address.slice(address.lastIndexOf('@') + 1).split('.')
  return parts.some((_, at) => emailDomains.has(parts.slice(at).join('.')))
}
