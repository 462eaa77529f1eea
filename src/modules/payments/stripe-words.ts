// What Stripe says, in our words. Pure: an intent, a refund or an error becomes an answer, amounts change their unit.
import Stripe from 'stripe'
import type { Uuid } from '../../base/ids.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import { uuidOfText } from '../../runtime/idempotency.ts'
import type { FoundDispute, FoundRefund } from '../orders/types.ts'
import type { Answer, Charge, OperationKind } from './types.ts'

/**
 * Stripe's amounts count ISO 4217's minor units, but for these: two that lost their decimals are still written with them, and
 * one has none where ISO has two. (docs.stripe.com/currencies)
 */
const unitsOfStripe: Record<string, number> = { ISK: 100, UGX: 100, MGA: 0.01 }

/** Undefined when Stripe cannot say the amount. */
export function toStripeAmount(amount: MinorUnits, currency: Currency): number | undefined {
  const theirs = currency === 'MGA' ? amount / 100 : amount * (unitsOfStripe[currency] ?? 1)
  return Number.isSafeInteger(theirs) ? theirs : undefined
}

export function fromStripeAmount(amount: number, currency: string): MinorUnits {
  return Math.round(amount / (unitsOfStripe[currency.toUpperCase()] ?? 1)) as MinorUnits
}

/**
 * What an intent says of an operation: `not_done` when nothing has come of the operation yet, `in_progress` when Stripe itself
 * waits. An intent that ended otherwise than was asked says so: a capture of one that ran out is `voided`.
 */
export function answerOfIntent(intent: Stripe.PaymentIntent, kind: OperationKind): Answer | 'in_progress' | 'not_done' {
  const { id: reference, status, currency } = intent
  switch (status) {
    case 'succeeded':
      return { says: 'captured', reference, amount: fromStripeAmount(intent.amount_received, currency) }
    case 'canceled':
      return { says: 'voided', reference, amount: fromStripeAmount(intent.amount, currency) }
    case 'processing':
      return 'in_progress'
    case 'requires_capture':
      if (kind !== 'authorize') return 'not_done'
      return { says: 'authorized', reference, amount: fromStripeAmount(intent.amount, currency) }
    case 'requires_action':
      if (kind !== 'authorize') return 'not_done'
      return { says: 'requires_action', reference, nextAction: nextActionOf(intent) }
    case 'requires_payment_method':
      if (kind !== 'authorize') return 'not_done'
      return { says: 'failed', error: declineWord(intent.last_payment_error ?? {}) }
    default: // requires_confirmation, which ours never are
      return kind === 'authorize' ? 'in_progress' : 'not_done'
  }
}

/** What the buyer's page needs to go on: Stripe.js takes the secret, a plain page follows the link. */
function nextActionOf({ next_action, client_secret }: Stripe.PaymentIntent): Record<string, unknown> {
  const link = next_action?.redirect_to_url?.url
  return { type: next_action?.type ?? 'use_stripe_sdk', client_secret, ...(link ? { redirect_url: link } : {}) }
}

/** `in_progress` while the money is on its way, which at some banks takes days. */
export function answerOfRefund(refund: Stripe.Refund): Answer | 'in_progress' {
  if (refund.status === 'succeeded')
    return { says: 'refunded', reference: refund.id, amount: fromStripeAmount(refund.amount, refund.currency) }
  if (refund.status === 'failed' || refund.status === 'canceled')
    return { says: 'failed', error: refund.failure_reason ? `refund_${refund.failure_reason}` : 'refund_failed' }
  return 'in_progress'
}

/** A refund that nobody here has asked for has none of our names; its id is made of Stripe's. Null while it is under way. */
export function foundRefundOf(refund: Stripe.Refund, paymentId: Uuid): FoundRefund | null {
  const { id: reference, amount, currency } = refund
  const answer = answerOfRefund(refund)
  const found = { of: 'found_refund', id: uuidOfText(reference), paymentId, reference } as const
  const money = { amount: fromStripeAmount(amount, currency) }
  if (answer === 'in_progress') return null
  return answer.says === 'failed'
    ? { ...found, ...money, says: 'failed', error: answer.error }
    : { ...found, ...money, says: 'refunded' }
}

export const isAskedFor = ({ metadata }: Pick<Stripe.Refund, 'metadata'>): boolean =>
  metadata?.holdfast_refund !== undefined

/** `open` as long as something can still be done about it, inquiries included. */
export function disputeOf(dispute: Stripe.Dispute, paymentId: Uuid): FoundDispute {
  const { id: reference, amount, currency, reason, status } = dispute
  const isWon = status === 'won' || status === 'warning_closed' || status === 'prevented'
  const says = status === 'lost' ? 'lost' : isWon ? 'won' : 'open'
  const money = { amount: fromStripeAmount(amount, currency) }
  return { of: 'dispute', id: uuidOfText(reference), paymentId, reference, ...money, reason, says }
}

/** Declines that a buyer can do something about keep their word; why a bank distrusts a card is not the buyer's to know. */
const toldDeclines = new Set([
  'authentication_failed',
  'authentication_required',
  'card_not_supported',
  'currency_not_supported',
  'expired_card',
  'incorrect_cvc',
  'incorrect_number',
  'incorrect_zip',
  'insufficient_funds',
  'processing_error',
  'withdrawal_count_limit_exceeded',
])
const sameWords: Record<string, string> = {
  card_velocity_exceeded: 'withdrawal_count_limit_exceeded',
  invalid_cvc: 'incorrect_cvc',
  invalid_number: 'incorrect_number',
  payment_intent_authentication_failure: 'authentication_failed',
}

function declineWord({ code, decline_code }: { code?: string; decline_code?: string }): string {
  for (const said of [decline_code, code]) {
    if (said === undefined) continue
    const word = sameWords[said] ?? said
    if (toldDeclines.has(word)) return word
  }
  return 'card_declined'
}

/**
 * What an error means for the operation: it will never happen under this key (`failed`), nothing was done and the key is free
 * (`try_again`), the intent is not where it was thought to be (`look`), or nobody knows (`unknown`).
 */
export type ErrorMeaning = { failed: string } | 'try_again' | 'look' | 'unknown'

export function meaningOf(error: unknown, kind: OperationKind): ErrorMeaning {
  if (!(error instanceof Stripe.errors.StripeError)) return 'unknown'
  if (error instanceof Stripe.errors.StripeConnectionError) return wasNeverSent(error) ? 'try_again' : 'unknown'
  if (error instanceof Stripe.errors.StripeRateLimitError) return 'try_again'
  // The key was used for something else, or for the same by another version of us: the record has to tell.
  if (error instanceof Stripe.errors.StripeIdempotencyError) return 'unknown'
  switch (error.statusCode) {
    case 402:
      return { failed: declineWord(error) }
    case 400:
      return error.code === 'payment_intent_unexpected_state' ? 'look' : { failed: refusalWord(error) }
    case 404: // of a new payment, its method; else the payment itself, and then this is not the account that has it
      return kind === 'authorize' ? { failed: 'payment_method_unknown' } : 'unknown'
    case 401: // our own key is wrong or lacks a right: refused before anything began
    case 403:
      return 'try_again'
    default: // 409: the key's first request is still running. 5xx: indeterminate, says Stripe
      return 'unknown'
  }
}

/** Of a request that could not succeed as it stands. */
function refusalWord({ code, param }: InstanceType<typeof Stripe.errors.StripeError> & { param?: string }): string {
  if (code === undefined || code === 'resource_missing')
    return param?.startsWith('payment_method') ? 'payment_method_unknown' : 'invalid_request'
  return code
}

/** Codes of the system for connections that never came to be. */
const neverConnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
function wasNeverSent({ detail }: InstanceType<typeof Stripe.errors.StripeConnectionError>): boolean {
  return neverConnected.has((detail as { code?: string } | undefined)?.code ?? '')
}

/** Null for what holds no money and never did. */
export function chargeStatusOf(intent: Stripe.PaymentIntent, refunded: MinorUnits): Charge['status'] | null {
  switch (intent.status) {
    case 'succeeded':
      return refunded > 0 && refunded >= fromStripeAmount(intent.amount_received, intent.currency)
        ? 'refunded'
        : 'captured'
    case 'requires_capture':
      return 'authorized'
    case 'canceled':
      return 'voided'
    case 'requires_payment_method':
      return 'failed'
    default:
      return null
  }
}
