// The provider `stripe`: one PaymentIntent for each payment, found again by its metadata. Every call carries the operation's id
// as its idempotency key. What became of a call without an answer is read, never tried: replaying the key would charge if the
// first call had not arrived. It is read from the list of intents, which is never behind; search may be (docs.stripe.com/search).
import type Stripe from 'stripe'
import { type CellName, timeOfUuid, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { addMs, type Instant } from '../../base/time.ts'
import type { StripeConfig } from '../../runtime/config.ts'
import { stripeCharges } from './stripe-charges.ts'
import { metadataOf, openStripe, paged, secondsOf, until } from './stripe-client.ts'
import { answerOfIntent, answerOfRefund, meaningOf, toStripeAmount } from './stripe-words.ts'
import { type Answer, type Operation, OutcomeUnknown, type Provider, TryAgain } from './types.ts'

type StripeDeps = { cell: CellName; now(): Instant }

export function createStripeProvider(config: StripeConfig, { cell, now }: StripeDeps): Provider {
  const stripe = openStripe(config)
  const unheard = rememberUnheard()

  return {
    name: 'stripe',
    callsMax: limits.stripeCallsMax,
    accepts: (method) => /^(pm|ctoken)_[A-Za-z0-9_]{1,200}$/.test(method),

    async perform(operation, signal) {
      if (now() - operation.askedAt >= limits.providerKeyMsMax)
        throw new OutcomeUnknown('the key may be forgotten: it is only looked up')
      try {
        return await until(signal, send({ stripe, cell, signal }, operation))
      } catch (error) {
        return await answerOfError({ stripe, cell, signal }, operation, error).catch((thrown) => {
          if (!(thrown instanceof TryAgain)) unheard.add(operation.id, now())
          throw thrown
        })
      }
    },

    async lookUp(operation, signal) {
      const found = await until(signal, recordOf({ stripe, cell, signal }, operation)).catch((error) => {
        throw error instanceof OutcomeUnknown ? error : new OutcomeUnknown(messageOf(error))
      })
      if (found !== 'not_done') return found
      return maybeUnderWay(operation, unheard.lastAt(operation.id), now()) ? 'in_progress' : 'never_heard'
    },

    charges: stripeCharges(stripe, { cell, now }),
  }
}

/**
 * Whether a call that Stripe has not recorded may still be on its way. Its first may have been sent at once; the last when its
 * key ran out; and one that this process has sent and heard nothing of, whenever it was.
 */
function maybeUnderWay({ askedAt }: Operation, lastUnheardAt: Instant | undefined, now: Instant): boolean {
  const sends = [askedAt, addMs(askedAt, limits.providerKeyMsMax), lastUnheardAt ?? askedAt]
  return sends.some((at) => now >= at && now - at < limits.stripeUnderWayMsMax)
}

/** Calls that were sent and not answered, the latest for each key; bounded, since the rest is told by their age. */
function rememberUnheard() {
  const sentAt = new Map<Uuid, Instant>()
  return {
    lastAt: (id: Uuid) => sentAt.get(id),
    add(id: Uuid, at: Instant) {
      sentAt.delete(id)
      sentAt.set(id, at)
      if (sentAt.size > limits.stripeUnheardMax) sentAt.delete(sentAt.keys().next().value!)
    },
  }
}

/** What a call needs besides its operation. */
type Call = { stripe: Stripe; cell: CellName; signal: AbortSignal }

async function send(call: Call, operation: Operation): Promise<Answer | 'in_progress'> {
  const { stripe, cell } = call
  const once = { idempotencyKey: operation.id }
  const { kind, reference } = operation
  const amount = toStripeAmount(operation.amount, operation.currency)
  if (amount === undefined) return { says: 'failed', error: 'amount_not_supported' }
  if (kind === 'authorize') return taken(answerOfIntent(await createIntent(stripe, operation, amount, cell), kind))
  const id = reference ?? (await findIntent(call, operation))?.id
  if (id === undefined) throw new OutcomeUnknown('Stripe does not show the payment')
  switch (kind) {
    case 'capture':
      return taken(answerOfIntent(await stripe.paymentIntents.capture(id, { amount_to_capture: amount }, once), kind))
    case 'void':
      return taken(answerOfIntent(await stripe.paymentIntents.cancel(id, {}, once), kind))
    case 'refund': {
      const metadata = {
        ...metadataOf(operation, cell),
        holdfast_refund: toWireId('rfd', cell, operation.refundId ?? operation.id),
        holdfast_key: operation.id, // a refund that was tried again has several
      }
      return taken(answerOfRefund(await stripe.refunds.create({ payment_intent: id, amount, metadata }, once)))
    }
  }
}

function createIntent(stripe: Stripe, operation: Operation, amount: number, cell: CellName) {
  const { id, method, capture, currency } = operation
  return stripe.paymentIntents.create(
    {
      amount,
      currency: currency.toLowerCase(),
      capture_method: capture === 'later' ? 'manual' : 'automatic',
      confirm: true,
      ...(method.startsWith('ctoken_') ? { confirmation_token: method } : { payment_method: method }),
      // What needs a page to come back to needs one that we do not know; 3-D Secure runs in Stripe.js.
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      metadata: metadataOf(operation, cell),
    },
    { idempotencyKey: id },
  )
}

/** What Stripe has recorded of an operation; throws when it cannot be read to the end. */
async function recordOf(call: Call, operation: Operation): Promise<Answer | 'in_progress' | 'not_done'> {
  const { stripe } = call
  const { kind, reference } = operation
  const intent = reference ? await stripe.paymentIntents.retrieve(reference) : await findIntent(call, operation)
  if (intent && kind !== 'refund') return answerOfIntent(intent, kind)
  if (intent) {
    const refund = await findRefund(call, intent.id, operation.id)
    return refund ? answerOfRefund(refund) : 'not_done'
  }
  if (kind === 'authorize') return 'not_done'
  throw new OutcomeUnknown('Stripe does not show the payment')
}

/**
 * Made within the life of its key, and so listed within that time: from when the payment began, as a rule soon after, or from
 * when it was last asked for by hand. What was asked for by hand in between is days old, and search shows it.
 */
async function findIntent(
  { stripe, cell, signal }: Call,
  { paymentId, askedAt }: Operation,
): Promise<Stripe.PaymentIntent | undefined> {
  const name = toWireId('pay', cell, paymentId)
  const beganAt = timeOfUuid(paymentId)
  const from = (at: Instant) => secondsOf(addMs(at, -limits.clockSkewMsMax))
  const soon = secondsOf(addMs(beganAt, limits.authorizeMsMax))
  const late = secondsOf(addMs(beganAt, limits.stripeIntentMsMax))
  const windows: Stripe.RangeQueryParam[] = [
    { gte: from(beganAt), lte: soon },
    { gt: soon, lte: late },
  ]
  const isAskedAnew = from(askedAt) > late
  if (isAskedAnew) windows.push({ gte: from(askedAt), lte: secondsOf(addMs(askedAt, limits.stripeIntentMsMax)) })
  for (const created of windows) {
    for await (const intent of paged((page) => stripe.paymentIntents.list({ created, ...page }), { signal })) {
      if (intent.metadata.holdfast_payment === name) return intent
    }
  }
  if (!isAskedAnew) return undefined
  const found = await stripe.paymentIntents.search({ query: `metadata['holdfast_payment']:'${name}'`, limit: 1 })
  return found.data[0] && stripe.paymentIntents.retrieve(found.data[0].id) // search may show it as it was
}

async function findRefund({ stripe, signal }: Call, intentId: string, key: Uuid): Promise<Stripe.Refund | undefined> {
  const list = (page: object) => stripe.refunds.list({ payment_intent: intentId, ...page })
  for await (const refund of paged(list, { signal })) {
    if (refund.metadata?.holdfast_key === key) return refund
  }
  return undefined
}

/** What an error says of the operation: an answer, or what it throws. */
async function answerOfError(
  { stripe, signal }: Call,
  operation: Operation,
  error: unknown,
): Promise<Answer | 'in_progress'> {
  if (error instanceof OutcomeUnknown || error instanceof TryAgain) throw error
  const meaning = meaningOf(error, operation.kind)
  if (meaning === 'try_again') throw new TryAgain(messageOf(error))
  if (meaning === 'unknown' || (meaning === 'look' && operation.reference === null))
    throw new OutcomeUnknown(messageOf(error))
  if (meaning !== 'look') return { says: 'failed', error: meaning.failed }
  const intent = await until(signal, stripe.paymentIntents.retrieve(operation.reference!)).catch((failed) => {
    throw new OutcomeUnknown(messageOf(failed))
  })
  return taken(answerOfIntent(intent, operation.kind))
}

/** What Stripe made of a call; that nothing came of it though it was sent is unknown for now. */
function taken(answer: Answer | 'in_progress' | 'not_done'): Answer | 'in_progress' {
  if (answer === 'not_done') throw new OutcomeUnknown('Stripe has not begun it')
  return answer
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
