// The client of Stripe, and what every use of it needs: names in the metadata that tell whose an intent or a refund is, lists
// page by page, and an end to waiting.
import Stripe from 'stripe'
import { type CellName, parseWireId, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import type { StripeConfig } from '../../runtime/config.ts'
import { type Operation, OutcomeUnknown } from './types.ts'

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

export const metadataOf = ({ shopId, orderId, paymentId }: Operation, cell: CellName) => ({
  holdfast_shop: String(shopId),
  holdfast_order: toWireId('ord', cell, orderId),
  holdfast_payment: toWireId('pay', cell, paymentId),
})

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

export const secondsOf = (at: Instant): number => Math.floor(at / 1000)

type Page<T> = { data: T[]; has_more: boolean }

/** Everything a list holds, newest first. A list that is too long to be read is no answer. */
export async function* paged<T extends { id: string }>(
  read: (page: { limit: number; starting_after?: string }) => Promise<Page<T>>,
  { after = null, signal }: { after?: string | null; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<T> {
  let last = after
  for (let pages = 0; pages < limits.stripePagesMax; pages++) {
    const reading = read({ limit: 100, ...(last === null ? {} : { starting_after: last }) })
    const page = await (signal ? until(signal, reading) : reading)
    yield* page.data
    if (!page.has_more) return
    last = page.data.at(-1)!.id
  }
  throw new OutcomeUnknown(`Stripe's list is longer than ${limits.stripePagesMax} pages`)
}

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
