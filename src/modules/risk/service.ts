// Assesses an order before it is placed. A shop without rules, in a cell without assessors of its own, is not assessed at
// all: nothing is read, awaited or allocated. Whatever does not answer within `riskMsMax`, or fails, counts as allowing, and
// is counted itself: a broken assessment may cost a review, never a sale.
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Database } from '../../runtime/pg.ts'
import type { PlaceOrder } from '../orders/types.ts'
import type { Principal } from '../shops/types.ts'
import { assess, strictest } from './decide.ts'
import { type Recent, recentOrders } from './store.ts'
import type { Assessment, Assessor, RiskFacts, RiskRules } from './types.ts'

export type RiskMetrics = {
  /** Of each order that was assessed. */
  onAssessed(decision: Assessment['decision']): void
  /** `who` was left out. */
  onFailure(who: string, why: 'timeout' | 'error'): void
}

export type RiskOptions = {
  database: Pick<Database, 'query'>
  clock: Pick<Clock, 'sleep'>
  assessors: readonly Assessor[]
  metrics: RiskMetrics
}

/** Undefined when there is nothing to ask. Notes in the command what was found: `review` or `refusal`. */
export type AssessOrder = (
  principal: Pick<Principal, 'risk'>,
  command: PlaceOrder,
  now: Instant,
) => Promise<void> | undefined

export function createRisk(options: RiskOptions): AssessOrder {
  const { assessors, metrics } = options
  return ({ risk }, command, now) => {
    if (risk === null && assessors.length === 0) return undefined
    if (command.placedAt !== null) return undefined // an import tells what has happened
    return assessOrder(options, risk, command, now).then((assessment) => {
      metrics.onAssessed(assessment.decision)
      if (assessment.decision === 'refuse') command.refusal = assessment.reasons
      else if (assessment.decision === 'review') command.review = assessment.reasons
    })
  }
}

async function assessOrder(
  options: RiskOptions,
  rules: RiskRules | null,
  command: PlaceOrder,
  now: Instant,
): Promise<Assessment> {
  const recent = rules ? await recentOf(options, rules, command, now) : unasked
  const facts = factsOf(command, recent)
  const others = options.assessors.map((assessor) =>
    inTime(options, assessor.name, (signal) => assessor.assess({ shopId: command.shopId, facts, now }, signal)),
  )
  const found = (await Promise.all(others)).filter((one) => one !== undefined)
  return strictest(rules ? [assess(facts, rules), ...found] : found)
}

const unasked: Recent = { byEmail: null, byCustomer: null }

async function recentOf(
  options: RiskOptions,
  rules: RiskRules,
  { shopId, personal, customer }: PlaceOrder,
  now: Instant,
): Promise<Recent> {
  const of = {
    email: rules.emailOrdersMax === null ? null : (personal?.email ?? null),
    customer: rules.customerOrdersMax === null ? null : customer,
  }
  if (of.email === null && of.customer === null) return unasked
  return (await inTime(options, 'velocity', () => recentOrders(options.database, shopId, of, now))) ?? unasked
}

function factsOf({ lines, currency, personal, customer }: PlaceOrder, recent: Recent): RiskFacts {
  let amount = 0
  let units = 0
  for (const line of lines) {
    amount += line.amount
    units += line.quantity
  }
  return {
    amount,
    currency,
    email: personal?.email ?? null,
    customer,
    country: personal?.address?.country ?? null,
    units,
    recent,
  }
}

/** Undefined when it fails or does not answer in time; then its answer is not waited for. */
async function inTime<T>(
  { clock, metrics }: RiskOptions,
  who: string,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const over = new AbortController()
  const answered = new AbortController()
  const asked = Promise.resolve()
    .then(() => ask(over.signal))
    .then(
      (value) => ({ value }),
      () => {
        if (!over.signal.aborted) metrics.onFailure(who, 'error')
        return undefined
      },
    )
  const late = clock.sleep(limits.riskMsMax, answered.signal).then(() => 'late' as const)
  const first = await Promise.race([asked, late])
  answered.abort()
  if (first !== 'late') return first?.value
  over.abort()
  metrics.onFailure(who, 'timeout')
  return undefined
}
