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
import { checkStore } from './check-store.ts'
import { type Answer, type Intent, type Promises, readJournal } from './journal.ts'
import { type Snapshot, takeSnapshot } from './snapshot.ts'

export type Comparison = {
  faults: string[]
  intents: number
  acknowledged: { orders: number; holds: number; adjustments: number; others: number }
  replayed: number
  refused: Record<string, number>
  events: number
}

type Given = { journal: string; client: Client; database: DatabaseUrl; firstUnits: number }

export async function compare({ journal, client, database, firstUnits }: Given): Promise<Comparison> {
  const promises = readJournal(journal)
  const snapshot = await takeSnapshot(database)
  const audit = await client.audit({ fresh: true })
  const accepted = acceptedOf(promises)
  const faults = [
    ...[...promises.intents.keys()].filter((key) => !promises.answers.has(key)).map((key) => `${key} has no answer`),
    ...oneResult(promises),
    ...(await orders(accepted, snapshot, client)),
    ...holds(accepted, snapshot),
    ...changes(accepted, snapshot),
    ...adjustments(accepted, snapshot, firstUnits),
    ...(await again(accepted, client)),
    ...checkStore(snapshot),
    ...(audit.consistent ? [] : [`the audit found ${JSON.stringify(audit.differences)}`]),
  ]
  const count = (...kinds: Intent['kind'][]) => accepted.filter(({ intent }) => kinds.includes(intent.kind)).length
  const answers = [...promises.answers.values()].flat()
  return {
    faults,
    intents: promises.intents.size,
    acknowledged: {
      orders: count('order'),
      holds: count('hold'),
      adjustments: count('adjust'),
      others: count('cancel', 'extend', 'release'),
    },
    replayed: answers.filter((answer) => answer.replayed).length,
    refused: tally(answers.flatMap((answer) => (answer.ok ? [] : [answer.code]))),
    events: snapshot.events.length,
  }
}

/** An intent, and everything that its requests were answered with 2xx. */
type Accepted = { intent: Intent; contents: unknown[]; replayed: boolean }

function acceptedOf({ intents, answers }: Promises): Accepted[] {
  return [...intents.values()].flatMap((intent) => {
    const good = (answers.get(intent.key) ?? []).filter((answer): answer is Answer & { ok: true } => answer.ok)
    if (good.length === 0) return []
    return [{ intent, contents: good.map(({ content }) => content), replayed: good.every(({ replayed }) => replayed) }]
  })
}

const only = <K extends Intent['kind']>(accepted: Accepted[], kind: K) =>
  accepted.filter((one): one is Accepted & { intent: Extract<Intent, { kind: K }> } => one.intent.kind === kind)

/** However often a key was sent, all that was answered is one thing. */
function oneResult({ answers }: Promises): string[] {
  return [...answers].flatMap(([key, list]) => {
    const ids = new Set(list.flatMap((answer) => (answer.ok ? [(answer.content as { id?: string })?.id] : [])))
    return ids.size > 1 ? [`${key} was answered with ${[...ids].join(' and ')}`] : []
  })
}

async function orders(accepted: Accepted[], { orders: stored }: Snapshot, client: Client): Promise<string[]> {
  const faults: string[] = []
  const told = new Map<string, Order>()
  for await (const order of everyOrder(client)) told.set(order.id, order)
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
  const perKey = tally(stored.map(({ key }) => String(key)))
  const wanted = new Set(only(accepted, 'order').map(({ intent }) => intent.key))
  for (const [key, count] of Object.entries(perKey)) {
    if (count > 1) faults.push(`${key} made ${count} orders`)
    if (!wanted.has(key)) faults.push(`${key} was never acknowledged and made an order`)
  }
  if (told.size !== stored.length) faults.push(`lists tell ${told.size} orders of ${stored.length}`)
  return faults
}

/** What no later command changes. */
function unchanging({ id, currency, lines, amounts, hold_id, customer, metadata, created_at, client_secret }: Order) {
  const placed = lines.map(({ cancelled_quantity: _, ...line }) => line)
  return { id, currency, lines: placed, amounts, hold_id, customer, metadata, created_at, client_secret }
}

async function* everyOrder(client: Client): AsyncGenerator<Order> {
  let cursor: string | undefined
  do {
    const page = await client.orders.list({ limit: 200, cursor })
    yield* page.data
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
}

function holds(accepted: Accepted[], { holds: stored }: Snapshot): string[] {
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

/** Each acknowledged cancellation, extension and release happened once, and none that was not acknowledged did. */
function changes(accepted: Accepted[], { events }: Snapshot): string[] {
  const done = events.filter(({ type, data }) => isAsked(type) && data.reason !== 'unpaid')
  const happened = tally(done.map(({ type, subject }) => `${changeOf[type]} of ${subject}`))
  const wanted = tally([
    ...only(accepted, 'cancel').map(({ intent }) => `cancel of ${intent.orderId}`),
    ...only(accepted, 'extend').map(({ intent }) => `extend of ${intent.holdId}`),
  ])
  return [...new Set([...Object.keys(happened), ...Object.keys(wanted)])].flatMap((change) =>
    happened[change] === wanted[change]
      ? []
      : [`${change}: acknowledged ${wanted[change] ?? 0} times, happened ${happened[change] ?? 0} times`],
  )
}

const changeOf: Record<string, string> = {
  'order.cancelled': 'cancel',
  'order.lines_cancelled': 'cancel',
  'hold.extended': 'extend',
}
const isAsked = (type: string): boolean => Object.hasOwn(changeOf, type)

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

/** A late retry of an acknowledged intent gets the same thing, and is told so. */
async function again(accepted: Accepted[], client: Client): Promise<string[]> {
  const faults: string[] = []
  const every = Math.ceil(accepted.length / againMax)
  for (const { intent, contents } of only(
    accepted.filter((_, n) => n % every === 0),
    'order',
  )) {
    const sent = await sendAgain(client, intent)
    if (!sent.replayed || sent.made !== (contents[0] as Order).id) faults.push(`${intent.key} sent again: ${sent.made}`)
  }
  return faults
}

/** `made`: the id of the order, or the code of the refusal. */
async function sendAgain(client: Client, { key, body }: Intent & { kind: 'order' }) {
  let replayed = false
  const onAnswer = (info: AnswerInfo) => {
    replayed = info.replayed
  }
  try {
    return { made: (await client.orders.place(body, { idempotencyKey: key, onAnswer })).id, replayed }
  } catch (error) {
    if (error instanceof HoldfastError) return { made: error.code, replayed }
    throw error
  }
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
