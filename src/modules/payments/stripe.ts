// The provider `stripe`: one PaymentIntent for each payment, found again by its metadata. Every call carries the operation's id
// as its idempotency key. What became of a call without an answer is read, never tried: replaying the key would charge if the
// first call had not arrived. It is read from the list of intents and not from search, which lags behind by up to a minute.
import Stripe from 'stripe'
import { type CellName, parseWireId, type ShopId, timeOfUuid, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Currency } from '../../base/money.ts'
import { addMs, type Instant } from '../../base/time.ts'
import type { StripeConfig } from '../../runtime/config.ts'
import {
  answerOfIntent,
  answerOfRefund,
  chargeStatusOf,
  fromStripeAmount,
  meaningOf,
  toStripeAmount,
} from './stripe-words.ts'
import { type Answer, type Charge, type Operation, OutcomeUnknown, type Provider, TryAgain } from './types.ts'

export type StripeDeps = { cell: CellName; now(): Instant }

/**
 * Retries are the worker's, which asks before it sends again. The package itself repeats a call once when the connection closed
 * under it, whatever it is told; it does so with the same key.
 */
export function openStripe({ secretKey, apiBase }: StripeConfig): Stripe {
  const { hostname, port, protocol } = new URL(apiBase)
  return new Stripe(secretKey, {
    host: hostname,
    protocol: protocol === 'http:' ? 'http' : 'https',
    ...(port === '' ? {} : { port }),
    maxNetworkRetries: 0,
    timeout: limits.providerCallMsMax,
    telemetry: false,
  })
}

export function createStripeProvider(config: StripeConfig, { cell, now }: StripeDeps): Provider {
  const stripe = openStripe(config)
  const unheard = rememberUnheard()

  return {
    name: 'stripe',
    accepts: (method) => /^(pm|ctoken)_[A-Za-z0-9_]{1,200}$/.test(method),

    async perform(operation, signal) {
      if (now() - operation.askedAt >= limits.providerKeyMsMax)
        throw new OutcomeUnknown('the key may be forgotten: it is only looked up')
      try {
        return await until(signal, send(stripe, operation, cell))
      } catch (error) {
        return await answerOfError(stripe, operation, error, signal).catch((thrown) => {
          if (!(thrown instanceof TryAgain)) unheard.add(operation.id, now())
          throw thrown
        })
      }
    },

    async lookUp(operation, signal) {
      const found = await until(signal, recordOf(stripe, operation, cell)).catch((error) => {
        throw error instanceof OutcomeUnknown ? error : new OutcomeUnknown(messageOf(error))
      })
      if (found !== 'not_done') return found
      return maybeUnderWay(operation, unheard.lastAt(operation.id), now()) ? 'in_progress' : 'never_heard'
    },

    charges: (query) => chargesOf(stripe, query, cell),
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

async function send(stripe: Stripe, operation: Operation, cell: CellName): Promise<Answer> {
  const once = { idempotencyKey: operation.id }
  const { kind, reference } = operation
  const amount = toStripeAmount(operation.amount, operation.currency)
  if (amount === undefined) return { says: 'failed', error: 'amount_not_supported' }
  if (kind === 'authorize') return ended(answerOfIntent(await createIntent(stripe, operation, amount, cell), kind))
  const id = reference ?? (await findIntent(stripe, operation, cell))?.id
  if (id === undefined) throw new OutcomeUnknown('Stripe does not show the payment')
  switch (kind) {
    case 'capture':
      return ended(answerOfIntent(await stripe.paymentIntents.capture(id, { amount_to_capture: amount }, once), kind))
    case 'void':
      return ended(answerOfIntent(await stripe.paymentIntents.cancel(id, {}, once), kind))
    case 'refund': {
      const metadata = {
        ...metadataOf(operation, cell),
        holdfast_refund: toWireId('rfd', cell, operation.refundId ?? operation.id),
        holdfast_key: operation.id, // a refund that was tried again has several
      }
      return ended(answerOfRefund(await stripe.refunds.create({ payment_intent: id, amount, metadata }, once)))
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

const metadataOf = ({ shopId, orderId, paymentId }: Operation, cell: CellName) => ({
  holdfast_shop: String(shopId),
  holdfast_order: toWireId('ord', cell, orderId),
  holdfast_payment: toWireId('pay', cell, paymentId),
})

/** What Stripe has recorded of an operation; throws when it cannot be read to the end. */
async function recordOf(
  stripe: Stripe,
  operation: Operation,
  cell: CellName,
): Promise<Answer | 'in_progress' | 'not_done'> {
  const { kind, reference } = operation
  const intent = reference ? await stripe.paymentIntents.retrieve(reference) : await findIntent(stripe, operation, cell)
  if (intent && kind !== 'refund') return answerOfIntent(intent, kind)
  if (intent) {
    const refund = await findRefund(stripe, intent.id, operation.id)
    return refund ? answerOfRefund(refund) : 'not_done'
  }
  if (kind === 'authorize') return 'not_done'
  throw new OutcomeUnknown('Stripe does not show the payment')
}

/** Made within the life of its key, and so listed within that window. */
async function findIntent(
  stripe: Stripe,
  { paymentId }: Pick<Operation, 'paymentId'>,
  cell: CellName,
): Promise<Stripe.PaymentIntent | undefined> {
  const name = toWireId('pay', cell, paymentId)
  const beganAt = timeOfUuid(paymentId)
  const created = {
    gte: secondsOf(addMs(beganAt, -limits.clockSkewMsMax)),
    lte: secondsOf(addMs(beganAt, limits.providerKeyMsMax + limits.stripeUnderWayMsMax + limits.clockSkewMsMax)),
  }
  for await (const intent of paged((page) => stripe.paymentIntents.list({ created, ...page }))) {
    if (intent.metadata.holdfast_payment === name) return intent
  }
  return undefined
}

async function findRefund(stripe: Stripe, intentId: string, key: Uuid): Promise<Stripe.Refund | undefined> {
  for await (const refund of paged((page) => stripe.refunds.list({ payment_intent: intentId, ...page }))) {
    if (refund.metadata?.holdfast_key === key) return refund
  }
  return undefined
}

const secondsOf = (at: Instant): number => Math.floor(at / 1000)

type Page<T> = { data: T[]; has_more: boolean }

/** Everything a list holds, newest first. A list that is too long to be read is no answer. */
async function* paged<T extends { id: string }>(
  read: (page: { limit: number; starting_after?: string }) => Promise<Page<T>>,
  after: string | null = null,
): AsyncGenerator<T> {
  let last = after
  for (let pages = 0; pages < limits.stripePagesMax; pages++) {
    const page = await read({ limit: 100, ...(last === null ? {} : { starting_after: last }) })
    yield* page.data
    if (!page.has_more) return
    last = page.data.at(-1)!.id
  }
  throw new OutcomeUnknown(`Stripe's list is longer than ${limits.stripePagesMax} pages`)
}

type ChargesQuery = Parameters<Provider['charges']>[0]

async function chargesOf(
  stripe: Stripe,
  { shopId, orderId, after, limit }: ChargesQuery,
  cell: CellName,
): Promise<Charge[]> {
  const charges: Charge[] = []
  const since =
    orderId === null ? {} : { created: { gte: secondsOf(addMs(timeOfUuid(orderId), -limits.clockSkewMsMax)) } }
  const list = (page: object) => stripe.paymentIntents.list({ ...since, expand: ['data.latest_charge'], ...page })
  for await (const intent of paged(list, after)) {
    if (charges.length === limit) break
    const charge = chargeOf(intent, shopId, cell)
    if (charge && (orderId === null || charge.orderId === orderId)) charges.push(charge)
  }
  return charges
}

/** Null for what is not of this shop and cell, or never held money. */
function chargeOf(intent: Stripe.PaymentIntent, shopId: ShopId, cell: CellName): Charge | null {
  const ours = ownerOf(intent.metadata, cell)
  const latest = intent.latest_charge
  const refunded = fromStripeAmount(latest && typeof latest === 'object' ? latest.amount_refunded : 0, intent.currency)
  const status = chargeStatusOf(intent, intent.status === 'succeeded' ? refunded : fromStripeAmount(0, intent.currency))
  if (!ours || ours.shopId !== shopId || status === null) return null
  return {
    id: intent.id,
    orderId: ours.orderId,
    paymentId: ours.paymentId,
    amount: fromStripeAmount(intent.amount, intent.currency),
    currency: intent.currency.toUpperCase() as Currency,
    captured: fromStripeAmount(intent.amount_received, intent.currency),
    refunded,
    status,
  }
}

/** Whose an intent or a refund is by its metadata; null when it is not ours, or another cell's. */
export function ownerOf(
  metadata: Stripe.Metadata | null,
  cell: CellName,
): { shopId: ShopId; orderId: Uuid; paymentId: Uuid } | null {
  const { holdfast_shop: shop = '', holdfast_order: order = '', holdfast_payment: payment = '' } = metadata ?? {}
  const [orderId, paymentId] = [parseWireId(order), parseWireId(payment)]
  if (!/^\d{1,9}$/.test(shop) || orderId?.cell !== cell || paymentId?.cell !== cell) return null
  return { shopId: Number(shop) as ShopId, orderId: orderId.uuid, paymentId: paymentId.uuid }
}

/** What an error says of the operation: an answer, or what it throws. */
async function answerOfError(
  stripe: Stripe,
  operation: Operation,
  error: unknown,
  signal: AbortSignal,
): Promise<Answer> {
  if (error instanceof OutcomeUnknown || error instanceof TryAgain) throw error
  const meaning = meaningOf(error, operation.kind)
  if (meaning === 'try_again') throw new TryAgain(messageOf(error))
  if (meaning === 'unknown' || (meaning === 'look' && operation.reference === null))
    throw new OutcomeUnknown(messageOf(error))
  if (meaning !== 'look') return { says: 'failed', error: meaning.failed }
  const intent = await until(signal, stripe.paymentIntents.retrieve(operation.reference!)).catch((failed) => {
    throw new OutcomeUnknown(messageOf(failed))
  })
  return ended(answerOfIntent(intent, operation.kind))
}

/** An answer that has come; one that has not is unknown for now. */
function ended(answer: Answer | 'in_progress' | 'not_done'): Answer {
  if (typeof answer === 'string') throw new OutcomeUnknown(`Stripe says ${answer}`)
  return answer
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The call's outcome, unless the signal comes first: the call then ends by its own time-out, and nobody hears it. */
export function until<T>(signal: AbortSignal, call: Promise<T>): Promise<T> {
  call.catch(() => undefined)
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(new OutcomeUnknown('no answer in time'))
    if (signal.aborted) return giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    call.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  })
}
