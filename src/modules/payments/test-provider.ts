// A provider for development and tests, with a record of its own and every manner a real one has: it declines, it is slow, it
// charges without answering, it fails without charging. Calls of one turn of the event loop are one transaction.
import type { ShopId, Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { MinorUnits } from '../../base/money.ts'
import { addMs, type Instant } from '../../base/time.ts'
import type { Clock } from '../../runtime/clock.ts'
import { gather } from '../../runtime/gather.ts'
import type { Database } from '../../runtime/pg.ts'
import {
  answerName,
  chargeName,
  chargesAfter,
  chargesOfOrders,
  countTries,
  insertAnswers,
  insertCharges,
  lockCharges,
  readAnswers,
  readCharges,
  type TestCharge,
  updateCharges,
} from './test-provider-store.ts'
import { type Answer, type Charge, type Operation, OutcomeUnknown, type Provider, TryAgain } from './types.ts'

const methods = new Set([
  'tok_ok',
  'tok_declined',
  'tok_insufficient_funds',
  'tok_slow',
  'tok_timeout',
  'tok_flaky',
  'tok_requires_action',
  'tok_laggy',
])

/** How long a method takes to answer. `tok_laggy` is for benches: it also loses a tenth of its answers. */
const delaysMs: Record<string, number> = { tok_slow: limits.testProviderSlowMs, tok_laggy: limits.testProviderLaggyMs }
const declines: Record<string, string> = {
  tok_declined: 'card_declined',
  tok_insufficient_funds: 'insufficient_funds',
}

export type TestProvider = Provider & {
  /** As if the buyer had done what was asked of him; undefined when there is no such charge. */
  complete(shopId: ShopId, paymentId: Uuid): Promise<TestCharge | undefined>
}

/** What is broken on purpose, as it is now; `chance`, 0 to 1, decides whose answers are lost. */
export type TestProviderFaults = { of: { delayMs: number; lostAnswers: number }; chance(): number }

const noFaults: TestProviderFaults = { of: { delayMs: 0, lostAnswers: 0 }, chance: () => 1 }

export function createTestProvider(
  database: Database,
  clock: Pick<Clock, 'now' | 'sleep'>,
  { of: faults, chance } = noFaults,
): TestProvider {
  const authorize = gather(limits.testProviderRowsMax, (operations: readonly Operation[]) =>
    authorizeAll(database, operations, clock.now()),
  )
  const change = gather(limits.testProviderRowsMax, (operations: readonly Operation[]) =>
    changeAll(database, operations),
  )
  const look = gather(limits.testProviderRowsMax, (operations: readonly Operation[]) =>
    lookUpAll(database, operations, clock.now()),
  )
  const read = gather(limits.testProviderRowsMax, async (orders: readonly { shopId: ShopId; orderId: Uuid }[]) => {
    const all = await chargesOfOrders(database, orders)
    return orders.map(({ shopId, orderId }) => all.filter((one) => one.shopId === shopId && one.orderId === orderId))
  })

  async function perform(operation: Operation, signal: AbortSignal): Promise<Answer> {
    if (operation.kind !== 'authorize') return change(operation)
    const charge = await authorize(operation)
    if (charge === 'try_again') throw new TryAgain('500')
    if (isLost(operation)) return silence(signal)
    if (charge.answersAt !== null) {
      await clock.sleep(charge.answersAt - clock.now(), signal)
      if (signal.aborted) throw new OutcomeUnknown('too slow')
    }
    return answerOf(charge)
  }

  return {
    name: 'test',
    callsMax: limits.testProviderCallsMax,
    accepts: (method) => methods.has(method),
    async perform(operation, signal) {
      const answer = await perform(operation, signal)
      if (faults.lostAnswers > 0 && chance() < faults.lostAnswers) return silence(signal)
      if (faults.delayMs > 0) await clock.sleep(faults.delayMs, signal)
      if (signal.aborted) throw new OutcomeUnknown('too slow')
      return answer
    },
    async lookUp(operation) {
      const found = await look(operation)
      if (faults.delayMs > 0) await clock.sleep(faults.delayMs)
      return found
    },
    async charges({ shopId, orderId, after, limit }) {
      const found = orderId
        ? await read({ shopId, orderId })
        : await chargesAfter(database, { shopId, after: paymentOfCharge(after ?? '') ?? leastUuid, limit })
      return found.map(chargeOf)
    },
    complete: (shopId, paymentId) => completeCharge(database, { shopId, paymentId }),
  }
}

/** The same on every call: whoever has lost an answer gets none by asking again. */
const isLost = ({ method, paymentId }: Operation): boolean =>
  method === 'tok_timeout' || (method === 'tok_laggy' && Number.parseInt(paymentId.slice(-4), 16) % 10 === 0)

const leastUuid = '00000000-0000-0000-0000-000000000000' as Uuid

const silence = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = () => reject(new OutcomeUnknown('no answer'))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })

/** The charge of each, as it was made now or by an earlier call under the same key. */
async function authorizeAll(
  database: Database,
  operations: readonly Operation[],
  now: Instant,
): Promise<(TestCharge | 'try_again')[]> {
  return database.transaction(async (session) => {
    const flaky = operations.filter(({ method }) => method === 'tok_flaky')
    const tries = flaky.length > 0 ? await countTries(session, flaky) : new Map<string, number>()
    const made = new Map<string, TestCharge>()
    for (const operation of operations) {
      if ((tries.get(answerName(operation)) ?? 3) > 2) made.set(chargeName(operation), newCharge(operation, now))
    }
    const charges = [...made.values()]
    const inserted = charges.length > 0 ? await insertCharges(session, charges) : new Set<Uuid>()
    const earlier = charges.filter(({ paymentId }) => !inserted.has(paymentId))
    // A later statement: it sees what whoever was first has committed.
    const found = earlier.length > 0 ? await readCharges(session.run, earlier) : new Map<string, TestCharge>()
    return operations.map(
      (operation) => found.get(chargeName(operation)) ?? made.get(chargeName(operation)) ?? 'try_again',
    )
  })
}

function newCharge(
  { shopId, paymentId, orderId, amount, currency, method, capture }: Operation,
  now: Instant,
): TestCharge {
  const error = declines[method] ?? null
  const delayMs = delaysMs[method]
  const needsAction = method === 'tok_requires_action'
  const status = error ? 'failed' : needsAction ? 'requires_action' : capture === 'now' ? 'captured' : 'authorized'
  return {
    shopId,
    paymentId,
    orderId,
    amount,
    currency,
    capture,
    captured: (status === 'captured' ? amount : 0) as MinorUnits,
    refunded: 0 as MinorUnits,
    status,
    error,
    answersAt: delayMs === undefined ? null : addMs(now, delayMs),
  }
}

/** What the key of the authorization brought about, as it stands now. */
function answerOf(charge: TestCharge): Answer {
  const reference = chargeIdOf(charge.paymentId)
  switch (charge.status) {
    case 'failed':
      return { says: 'failed', error: charge.error ?? 'declined' }
    case 'requires_action':
      return { says: 'requires_action', reference, nextAction: nextActionOf(charge) }
    case 'captured':
    case 'refunded':
      return { says: 'captured', reference, amount: charge.captured }
    default:
      return { says: charge.status, reference, amount: charge.amount }
  }
}

const nextActionOf = ({ paymentId }: TestCharge): Record<string, unknown> => ({
  type: 'test_provider',
  complete: `/v1/test-provider/charges/${chargeIdOf(paymentId)}/complete`,
})

/** Captures, voids and refunds, one after the other on their locked charges. */
async function changeAll(database: Database, operations: readonly Operation[]): Promise<Answer[]> {
  return database.transaction(async (session) => {
    const charges = await lockCharges(session, operations)
    const known = await readAnswers(session.run, operations) // after the locks, so that an answer just given is seen
    const changed = new Set<TestCharge>()
    const given = new Map<string, { shopId: ShopId; id: Uuid; answer: Answer }>()
    const answers = operations.map((operation) => {
      const name = answerName(operation)
      const earlier = known.get(name) ?? given.get(name)?.answer
      if (earlier) return earlier
      const charge = charges.get(chargeName(operation))
      if (!charge) return { says: 'failed', error: 'charge_not_found' } satisfies Answer
      const answer = change(charge, operation)
      changed.add(charge)
      given.set(name, { shopId: operation.shopId, id: operation.id, answer })
      return answer
    })
    if (changed.size > 0) await updateCharges(session, [...changed])
    if (given.size > 0) await insertAnswers(session, [...given.values()])
    return answers
  })
}

/** Changes the charge, or says why not. */
function change(charge: TestCharge, { kind, amount }: Operation): Answer {
  const reference = chargeIdOf(charge.paymentId)
  const isTaken = charge.status === 'captured' || charge.status === 'refunded'
  if (kind === 'refund') {
    if (charge.captured - charge.refunded < amount) return { says: 'failed', error: 'refund_too_large' }
    charge.refunded = (charge.refunded + amount) as MinorUnits
    if (charge.refunded === charge.captured) charge.status = 'refunded'
    return { says: 'refunded', reference, amount }
  }
  if (isTaken) return { says: 'captured', reference, amount: charge.captured } // it cannot be voided, nor taken twice
  if (kind === 'void') {
    if (charge.status !== 'failed') charge.status = 'voided'
    return { says: 'voided', reference, amount: charge.amount }
  }
  if (charge.status !== 'authorized') return { says: 'failed', error: `charge_${charge.status}` }
  if (amount > charge.amount) return { says: 'failed', error: 'amount_too_large' }
  charge.captured = amount
  charge.status = 'captured'
  return { says: 'captured', reference, amount }
}

async function lookUpAll(
  database: Database,
  operations: readonly Operation[],
  now: Instant,
): Promise<(Answer | 'never_heard' | 'in_progress')[]> {
  const authorizations = operations.filter(({ kind }) => kind === 'authorize')
  const others = operations.filter(({ kind }) => kind !== 'authorize')
  const [charges, answers] = await Promise.all([
    authorizations.length > 0 ? readCharges(database.query, authorizations) : new Map<string, TestCharge>(),
    others.length > 0 ? readAnswers(database.query, others) : new Map<string, Answer>(),
  ])
  return operations.map((operation) => {
    if (operation.kind !== 'authorize') return answers.get(answerName(operation)) ?? 'never_heard'
    const charge = charges.get(chargeName(operation))
    if (!charge) return 'never_heard'
    return charge.answersAt !== null && charge.answersAt > now ? 'in_progress' : answerOf(charge)
  })
}

async function completeCharge(
  database: Database,
  key: { shopId: ShopId; paymentId: Uuid },
): Promise<TestCharge | undefined> {
  return database.transaction(async (session) => {
    const charge = (await lockCharges(session, [key])).get(chargeName(key))
    if (charge?.status !== 'requires_action') return charge
    charge.status = charge.capture === 'now' ? 'captured' : 'authorized'
    if (charge.capture === 'now') charge.captured = charge.amount
    await updateCharges(session, [charge])
    return charge
  })
}

/** `ch_` and the payment's UUID without dashes, so that charges follow each other as payments do. */
const chargeIdOf = (paymentId: Uuid): string => `ch_${paymentId.replaceAll('-', '')}`

export function paymentOfCharge(id: string): Uuid | undefined {
  const match = /^ch_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(id)
  return match ? (match.slice(1).join('-') as Uuid) : undefined
}

const chargeOf = ({ paymentId, status, ...charge }: TestCharge): Charge => ({
  id: chargeIdOf(paymentId),
  orderId: charge.orderId,
  paymentId,
  amount: charge.amount,
  currency: charge.currency,
  captured: charge.captured,
  refunded: charge.refunded,
  status: status === 'requires_action' ? 'authorized' : status,
})
