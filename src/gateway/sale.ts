// A flash sale, as its buyers live it: a new SKU is received, and crowds at every cell within reach try to buy one each, by the API that
// everybody uses. What is counted is what they were answered. One sale at a time.
import { Agent } from 'undici'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import type { Clock } from '../runtime/clock.ts'
import { type Errand, fetchText } from '../runtime/forward.ts'

export type SaleTarget = { cell: CellName; url: string }

export type SaleOrder = {
  id: string
  sku: string
  units: number
  /** At each cell. */
  buyers: number
  /** With the key of whoever began it. */
  authorization: string
}

type Counts = { asked: number; sold: number; refused: number; failed: number }
export type SaleState = Pick<SaleOrder, 'id' | 'sku' | 'units' | 'buyers'> & {
  state: 'running' | 'over' | 'stopped'
  startedAt: Instant
  byCell: (Counts & { cell: CellName })[]
}

export type Sale = {
  state(): SaleState
  /** Nobody asks any more; resolves when those who have are answered. */
  stop(): Promise<void>
}

/** What was answered, or that nothing was. */
type Told = { status: number; text: string } | null

export type SaleOptions = { clock: Pick<Clock, 'now' | 'sleep'>; dispatcher: Agent }

export const openSaleAgent = (): Agent =>
  new Agent({
    connections: limits.saleBuyersAtOnceMax,
    pipelining: 1,
    connect: { timeout: limits.forwardConnectMsMax },
    headersTimeout: 0, // each request has a deadline of its own
    keepAliveTimeout: limits.keepAliveMs / 2,
  })

async function post(
  { dispatcher }: SaleOptions,
  url: string,
  { authorization, path, key, body }: { authorization: string; path: string; key: string; body: object },
): Promise<Told> {
  const errand: Errand = {
    origin: url,
    path,
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json', 'idempotency-key': key },
    body: Buffer.from(JSON.stringify(body)),
    deadlineMs: limits.saleAnswerMsMax,
  }
  const answer = await fetchText(dispatcher, errand, whole)
  return 'why' in answer ? null : answer
}

const whole = { bytesMax: limits.forwardAnswerBytesMax, left: new AbortController().signal }

/** Receives the units where the shop receives its goods. */
export const receiveUnits = (
  options: SaleOptions,
  at: SaleTarget,
  { id, sku, units, authorization }: SaleOrder,
): Promise<Told> =>
  post(options, at.url, {
    ...{ authorization, path: '/v1/stock/adjustments', key: `${id}-receive` },
    body: { adjustments: [{ sku, delta: units, reason: 'received' }] },
  })

export function beginSale(options: SaleOptions, order: SaleOrder, targets: readonly SaleTarget[]): Sale {
  const { clock } = options
  const { authorization, ...told } = order
  const stopping = new AbortController()
  const byCell = targets.map(({ cell }) => ({ cell, asked: 0, sold: 0, refused: 0, failed: 0 }))
  const state: SaleState = { ...told, state: 'running', startedAt: clock.now(), byCell }

  /** Tries again, under the same key, where no answer or 503 says that nobody knows yet. */
  async function buy({ cell, url }: SaleTarget, buyer: number): Promise<keyof Counts> {
    const key = `${cell}.${order.id}-${buyer}`
    for (let tries = 1; ; tries++) {
      const answer = await post(options, url, { authorization, path: '/v1/orders', key, body: bodyOf(order.sku) })
      if (answer && answer.status < 300) return 'sold'
      if (answer && answer.status >= 400 && answer.status < 500) return 'refused'
      if (tries >= limits.saleTriesMax || stopping.signal.aborted) return 'failed'
      await clock.sleep(limits.salePauseMs * tries, stopping.signal)
    }
  }

  async function crowd(target: SaleTarget, counts: Counts): Promise<void> {
    const buyers = async (): Promise<void> => {
      while (counts.asked < order.buyers && !stopping.signal.aborted) counts[await buy(target, counts.asked++)]++
    }
    await Promise.all(Array.from({ length: limits.saleBuyersAtOnceMax }, buyers))
  }

  const ended = Promise.all(targets.map((target, at) => crowd(target, byCell[at]!))).then(() => {
    state.state = stopping.signal.aborted ? 'stopped' : 'over'
  })
  return {
    state: () => state,
    async stop() {
      if (state.state === 'running') stopping.abort()
      await ended
    },
  }
}

const bodyOf = (sku: string) => ({
  currency: 'EUR',
  lines: [{ sku, quantity: 1, unit_price: { amount: 4_900, currency: 'EUR' } }],
  payment: { provider: 'test', method: 'tok_ok' },
})
