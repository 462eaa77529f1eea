// Money that goes back by Stripe, what its list of charges shows, and that the stand-in forgets nothing.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { type CellName, toWireId } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import { createStripeProvider } from '../../../src/modules/payments/stripe.ts'
import type { Operation } from '../../../src/modules/payments/types.ts'
import { cell, shopId } from '../../support/engine.ts'
import { makeDataFolder, repository } from '../../support/holdfast.ts'
import { standInKey, startStripeStandIn } from '../../support/stripe-stand-in.ts'
import {
  authorize,
  further,
  goAhead,
  intentOf,
  lookUp,
  loseAnswerOf,
  never,
  newProvider,
  now,
  perform,
  provider,
  standIn,
  use,
  useStripe,
  wait,
} from './stripe-given.ts'

useStripe()

describe('a refund', () => {
  test('gives back a part, then the rest, and nothing beyond', async () => {
    const operation = authorize()
    await perform(operation)
    const part = further(operation, 'refund', { amount: 500 as MinorUnits })
    expect(await perform(part)).toMatchObject({ says: 'refunded', amount: 500 })
    expect(await perform(part)).toMatchObject({ says: 'refunded', amount: 500 })
    expect(await lookUp(part)).toMatchObject({ says: 'refunded', amount: 500 })
    expect(await perform(further(operation, 'refund', { amount: 1500 as MinorUnits }))).toMatchObject({
      says: 'failed',
    })
    expect(await perform(further(operation, 'refund', { amount: 1499 as MinorUnits }))).toMatchObject({
      says: 'refunded',
    })
    expect(await perform(further(operation, 'refund', { amount: 1 as MinorUnits }))).toEqual({
      says: 'failed',
      error: 'charge_already_refunded',
    })
    expect(standIn.refunds().map(({ amount }) => amount)).toEqual([500, 1499])
    expect(standIn.refunds()[0]!.metadata).toMatchObject({ holdfast_refund: toWireId('rfd', cell, part.id) })
  })

  test('without an answer is found, and given once', async () => {
    const operation = authorize()
    await perform(operation)
    const refund = further(operation, 'refund')
    await loseAnswerOf(refund)
    expect(await newProvider().lookUp(refund, never)).toMatchObject({ says: 'refunded', amount: 1999 })
    expect(await perform(refund)).toMatchObject({ says: 'refunded' })
    expect(standIn.refunds()).toHaveLength(1)
  })

  test('that was never heard of is told apart from another of the same payment', async () => {
    const operation = authorize()
    await perform(operation)
    await perform(further(operation, 'refund', { amount: 500 as MinorUnits }))
    const other = further(operation, 'refund', { amount: 700 as MinorUnits })
    expect(await lookUp(other)).toBe('in_progress')
    wait()
    expect(await lookUp(other)).toBe('never_heard')
  })

  test('that takes its bank days is in progress, then ends either way', async () => {
    for (const [end, said] of [
      ['succeeded', { says: 'refunded', amount: 1999 }],
      ['failed', { says: 'failed', error: 'refund_expired_or_canceled_card' }],
    ] as const) {
      const operation = authorize('pm_card_pendingRefund')
      await perform(operation)
      const refund = further(operation, 'refund')
      expect(await perform(refund)).toBe('in_progress')
      expect(await lookUp(refund)).toBe('in_progress')
      wait()
      expect(await lookUp(refund)).toBe('in_progress')
      standIn.endRefund(standIn.refunds().at(-1)!.id, end)
      expect(await lookUp(refund)).toMatchObject(said)
    }
  })

  test('that was tried again by hand has a key of its own', async () => {
    const operation = authorize('pm_card_pendingRefund')
    await perform(operation)
    const first = further(operation, 'refund')
    expect(await perform(first)).toBe('in_progress')
    standIn.endRefund(standIn.refunds()[0]!.id, 'failed')
    const second = further(operation, 'refund', { refundId: first.id })
    wait()
    expect(await lookUp({ ...second, askedAt: first.askedAt })).toBe('never_heard')
    expect(await perform(second)).toBe('in_progress')
    standIn.endRefund(standIn.refunds()[1]!.id, 'succeeded')
    expect(await lookUp(first)).toMatchObject({ says: 'failed' })
    expect(await lookUp(second)).toMatchObject({ says: 'refunded' })
    expect(standIn.refunds()[1]!.metadata.holdfast_refund).toBe(toWireId('rfd', cell, first.id))
  })
})

describe('the list of charges', () => {
  test('shows what Stripe holds for us, a page at a time, and nobody else’s', async () => {
    const taken = authorize()
    const setAside = authorize('pm_card_visa', { capture: 'later' })
    const given = authorize()
    const declined = authorize('pm_card_chargeDeclined')
    const foreign = authorize('pm_card_visa', { shopId: 2 as typeof shopId })
    for (const one of [taken, setAside, given, declined, foreign]) await perform(one)
    await perform(further(given, 'refund'))
    await perform(further(taken, 'refund', { amount: 999 as MinorUnits }))
    const elsewhere = createStripeProvider(
      { secretKey: standInKey, webhookSecret: 'whsec_test', apiBase: standIn.url },
      { cell: 'us1' as CellName, now },
    )
    await elsewhere.perform(authorize(), never)

    const first = await provider.charges({ shopId, orderId: null, after: null, limit: 3 })
    const rest = await provider.charges({ shopId, orderId: null, after: first.at(-1)!.id, limit: 3 })
    const told = (of: Operation) => [...first, ...rest].find(({ paymentId }) => paymentId === of.paymentId)
    expect([first.length, rest.length]).toEqual([3, 1])
    expect(told(taken)).toEqual({
      id: intentOf(taken).id,
      orderId: taken.orderId,
      paymentId: taken.paymentId,
      amount: 1999,
      currency: 'EUR',
      captured: 1999,
      refunded: 999,
      status: 'captured',
      foundRefunds: [],
    })
    const byHand = standIn.refundByHand(intentOf(taken).id, 100)
    const [found] = await provider.charges({ shopId, orderId: taken.orderId, after: null, limit: 9 })
    expect(found).toMatchObject({ refunded: 1099, foundRefunds: [{ reference: byHand, amount: 100 }] })
    expect(told(setAside)).toMatchObject({ captured: 0, refunded: 0, status: 'authorized' })
    expect(told(given)).toMatchObject({ captured: 1999, refunded: 1999, status: 'refunded' })
    expect(told(declined)).toMatchObject({ captured: 0, status: 'failed' })
    expect(await provider.charges({ shopId, orderId: given.orderId, after: null, limit: 9 })).toMatchObject([
      { paymentId: given.paymentId },
    ])
  })

  test('of orders asked for together is read once, and an old order is searched for', async () => {
    const [one, other, none] = [authorize(), authorize('pm_card_visa', { capture: 'later' }), authorize()]
    await perform(one)
    await perform(other)
    await perform(further(one, 'refund'))
    const expected = [[{ paymentId: one.paymentId, refunded: 1999 }], [{ status: 'authorized' }], []]
    const read = () =>
      Promise.all([one, other, none].map(({ orderId }) => provider.charges({ shopId, orderId, after: null, limit: 9 })))
    const targets = () => standIn.requests.splice(0).map(({ target }) => target)
    targets()
    expect(await read()).toMatchObject(expected)
    expect(targets()).toEqual(['GET /v1/payment_intents'])
    goAhead(limits.stripeListedMs + 1)
    expect(await read()).toMatchObject(expected)
    expect(targets().filter((target) => target.endsWith('/search'))).toHaveLength(3)
  })
})

describe('the stand-in', () => {
  test('keeps what it has done over a restart, keys and all', async () => {
    const { data, remove } = await makeDataFolder()
    try {
      const file = `${data}/stripe.jsonl`
      const kept = await startStripeStandIn({ file })
      use(newProvider(kept.url))
      const operation = authorize()
      const answer = await perform(operation)
      const events = kept.events.length
      await kept.stop()
      await appendFile(file, '\n{"intents":[{"id":"pi_torn"') // killed within a write
      const again = await startStripeStandIn({ file })
      use(newProvider(again.url))
      expect(await perform(operation)).toEqual(answer)
      expect(await perform(authorize())).toMatchObject({ says: 'captured' })
      await again.stop()
      const third = await startStripeStandIn({ file })
      expect(third.intents()).toHaveLength(2)
      expect(third.events).toHaveLength(events + 1)
      await third.stop()
    } finally {
      await remove()
    }
  })

  test('killed as a program after a charge that nobody heard of, still knows of it', async () => {
    const { data, remove } = await makeDataFolder()
    const start = async () => {
      const child = spawn(process.execPath, ['test/support/stripe-stand-in.ts', '0', `${data}/stripe.jsonl`], {
        cwd: repository,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [address] = (await once(child.stdout, 'data')) as [Buffer]
      use(newProvider(String(address).trim()))
      return async () => {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    try {
      const operation = authorize()
      const kill = await start()
      await perform(operation)
      await kill()
      const killAgain = await start()
      expect(await lookUp(operation)).toMatchObject({ says: 'captured', amount: 1999 })
      expect(await perform(operation)).toMatchObject({ says: 'captured' })
      expect(await provider.charges({ shopId, orderId: null, after: null, limit: 9 })).toHaveLength(1)
      await killAgain()
    } finally {
      await remove()
    }
  })
})
