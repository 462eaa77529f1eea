// Compares the client's journal with the store after a run: what was acknowledged is there, as acknowledged and once; what was
// refused left nothing; and the store agrees with itself. Each function answers what it found wrong, in words.
import { isDeepStrictEqual } from 'node:util'
import {
  type AdjustedStock,
  type AnswerInfo,
  type Client,
  type Hold,
  HoldfastError,
  type Order,
} from '../../sdk/src/client.ts'
import type { DatabaseUrl } from '../../src/runtime/database-url.ts'
import { type Accepted, acceptedOf, only, tally } from './accepted.ts'
import { checkStore } from './check-store.ts'
import { compareMoney } from './compare-money.ts'
import { compareSteps } from './compare-steps.ts'
import { type Intent, type Promises, readJournal } from './journal.ts'
import { sendIntent } from './send.ts'
import { type Snapshot, takeSnapshot } from './snapshot.ts'

export type Comparison = {
  faults: string[]
  intents: number
  acknowledged: Record<Intent['kind'], number>
  /** By provider and state. */
  payments: Record<string, number>
  /** By state. */
  orders: Record<string, number>
  replayed: number
  refused: Record<string, number>
  events: number
  stripeEvents: number
}

type Given = {
  journal: string
  client: Client
  database: DatabaseUrl
  /** The record of the stand-in of Stripe. */
  stripeFile: string
  firstUnits: number
}

export async function compare({ journal, client, database, stripeFile, firstUnits }: Given): Promise<Comparison> {
  const promises = readJournal(journal)
  const snapshot = await takeSnapshot(database)
  const audit = await client.audit({ fresh: true })
  const accepted = acceptedOf(promises)
  const faults = [
    ...[...promises.intents.keys()].filter((key) => !promises.answers.has(key)).map((key) => `${key} has no answer`),
    ...oneResult(promises),
    ...(await orders(accepted, snapshot, client)),
    ...holds(accepted, snapshot),
    ...compareSteps(accepted, snapshot),
    ...compareMoney({ accepted, snapshot, stripeFile, audit }),
    ...adjustments(accepted, snapshot, firstUnits),
    ...(await again(accepted, client)),
    ...checkStore(snapshot),
  ]
  const payments = snapshot.orders.flatMap(({ life }) => life?.payments ?? [])
  const answers = [...promises.answers.values()].flat()
  return {
    faults,
    intents: promises.intents.size,
    acknowledged: tally(accepted.map(({ intent }) => intent.kind)) as Comparison['acknowledged'],
    payments: tally(payments.map(({ provider, status }) => `${provider} ${status}`)),
    orders: tally(snapshot.orders.map(({ status }) => status)),
    replayed: answers.filter((answer) => answer.replayed).length,
    refused: tally(answers.flatMap((answer) => (answer.ok ? [] : [answer.code]))),
    events: snapshot.events.length,
    stripeEvents: snapshot.stripeEvents,
  }
}

/** However often a key was sent, all that was answered is one thing. */
export function oneResult({ answers }: Pick<Promises, 'answers'>): string[] {
  return [...answers].flatMap(([key, list]) => {
    const ids = new Set(list.flatMap((answer) => (answer.ok ? [(answer.content as { id?: string })?.id] : [])))
    return ids.size > 1 ? [`${key} was answered with ${[...ids].join(' and ')}`] : []
  })
}

async function orders(accepted: Accepted[], { orders: stored }: Snapshot, client: Client): Promise<string[]> {
  const told = await everyOrder(client)
  const faults = contents(accepted, told)
  const perKey = tally(stored.map(({ key }) => String(key)))
  const wanted = new Set(only(accepted, 'order').map(({ intent }) => intent.key))
  for (const [key, count] of Object.entries(perKey)) {
    if (count > 1) faults.push(`${key} made ${count} orders`)
    if (!wanted.has(key)) faults.push(`${key} was never acknowledged and made an order`)
  }
  if (told.size !== stored.length) faults.push(`lists tell ${told.size} orders of ${stored.length}`)
  return faults
}

/** Every acknowledged order is there, with what was asked for and what was answered. */
export function contents(accepted: readonly Accepted[], told: ReadonlyMap<string, Order>): string[] {
  const faults: string[] = []
  for (const { intent, contents } of only(accepted, 'order')) {
    for (const answered of contents as Order[]) {
      const now = told.get(answered.id)
      if (!now) faults.push(`${answered.id} of ${intent.key} was acknowledged and is lost`)
      else if (!isDeepStrictEqual(unchanging(now), unchanging(answered))) faults.push(`${answered.id} changed`)
      else if (now.version < answered.version) faults.push(`${answered.id} went back to version ${now.version}`)
      const asked = intent.body.lines.map(({ sku, quantity, unit_price }) => [sku, quantity, unit_price?.amount])
      const got = answered.lines.map(({ sku, quantity, unit_price }) => [sku, quantity, unit_price?.amount])
      if (!isDeepStrictEqual(got, asked)) faults.push(`${answered.id} is not what ${intent.key} asked for`)
    }
  }
  return faults
}

/** What no later command changes. */
function unchanging({ id, currency, lines, amounts, hold_id, customer, metadata, created_at, client_secret }: Order) {
  const placed = lines.map(({ cancelled_quantity: _, shipped_quantity: __, ...line }) => line)
  return { id, currency, lines: placed, amounts, hold_id, customer, metadata, created_at, client_secret }
}

/** By id; of the cell that is asked. */
export async function everyOrder(client: Client): Promise<Map<string, Order>> {
  const told = new Map<string, Order>()
  let cursor: string | undefined
  do {
    const page = await client.orders.list({ limit: 200, cursor })
    for (const order of page.data) told.set(order.id, order)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return told
}

export function holds(accepted: readonly Accepted[], { holds: stored }: Snapshot): string[] {
  const faults: string[] = []
  const left = new Map(stored.map((hold) => [hold.id, hold]))
  for (const { intent, contents } of only(accepted, 'hold')) {
    const { id } = contents[0] as Hold
    const hold = left.get(id)
    left.delete(id)
    if (!hold) faults.push(`${id} of ${intent.key} was acknowledged and is lost`)
    const lines = hold?.lines.map(({ sku, quantity }) => ({ sku, quantity }))
    if (hold && !isDeepStrictEqual(lines, intent.body.lines)) faults.push(`${id} is not what ${intent.key} asked for`)
  }
  return [...faults, ...[...left.keys()].map((id) => `${id} was never acknowledged`)]
}

/** Each acknowledged adjustment is in the log once: as many as were acknowledged, of the same units. */
function adjustments(accepted: Accepted[], { events }: Snapshot, firstUnits: number): string[] {
  const name = (sku: string | undefined, delta: number | undefined) => `${sku} by ${delta}`
  const moved = events.filter(({ type }) => type === 'stock.adjusted').map(({ data }) => data)
  const happened = tally(moved.map(({ sku, delta }) => name(sku, delta)))
  const acknowledged = only(accepted, 'adjust')
  const wanted = tally(acknowledged.map(({ intent: { body } }) => name(body.sku, body.delta)))
  const first = new Set(moved.map(({ sku }) => name(sku, firstUnits)))
  const faults = [...new Set([...Object.keys(happened), ...Object.keys(wanted)])].flatMap((change) => {
    const count = (wanted[change] ?? 0) + (first.has(change) ? 1 : 0)
    return happened[change] === count
      ? []
      : [`${change}: acknowledged ${count} times, happened ${happened[change]} times`]
  })
  const levels = new Set(moved.map(({ sku, delta, on_hand }) => `${name(sku, delta)} to ${on_hand}`))
  for (const { intent, contents, replayed } of acknowledged) {
    const row = (contents[0] as AdjustedStock).data[0]!
    const level = `${name(intent.body.sku, intent.body.delta)} to ${row.on_hand}`
    if (!replayed && !levels.has(level)) faults.push(`${level} was acknowledged and is not in the log`)
  }
  return faults
}

const againMax = 400

const keyed = new Set<Intent['kind']>(['order', 'pay', 'ship', 'return', 'refund'])

/** A late retry of an acknowledged intent that made something gets the same thing, and is told so. */
export async function again(accepted: readonly Accepted[], client: Client): Promise<string[]> {
  const faults: string[] = []
  const every = Math.ceil(accepted.length / againMax)
  for (const { intent, contents } of accepted.filter((_, n) => n % every === 0)) {
    if (!keyed.has(intent.kind)) continue
    const sent = await sendAgain(client, intent)
    if (!sent.replayed || sent.made !== (contents[0] as { id: string }).id)
      faults.push(`${intent.key} (${intent.kind}) sent again: ${sent.made}`)
  }
  return faults
}

/** `made`: the id of what it made, or the code of the refusal. */
async function sendAgain(client: Client, intent: Intent) {
  let replayed = false
  const onAnswer = (info: AnswerInfo) => {
    replayed = info.replayed
  }
  try {
    const made = (await sendIntent(client, intent, { idempotencyKey: intent.key, onAnswer })) as { id: string }
    return { made: made.id, replayed }
  } catch (error) {
    if (error instanceof HoldfastError) return { made: error.code, replayed }
    throw error
  }
}
