// The audit of money: what is booked against the log, against the balances, against the lives of orders, and against what the
// providers say. Sums are closed stretch by stretch in short transactions, as the audit of units does; no snapshot is long.
import { present } from '../../base/assert.ts'
import { type CellName, parseWireId, type ShopId, toWireId, type Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Currency } from '../../base/money.ts'
import type { Instant } from '../../base/time.ts'
import type { Database } from '../../runtime/pg.ts'
import { StatementFailed } from '../../runtime/pg-failure.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { bareArray, textArray } from '../../runtime/pg-values.ts'
import * as sql from './audit-sql.ts'
import { type AccountSum, type Outside, providerDifferences, sumsOf, type Unbooked } from './sums.ts'
import type { MoneyDifference, MoneySums, ProviderRecord, UnderWay } from './types.ts'

export type ShopMoney = { sums: MoneySums[]; differences: MoneyDifference[] }
export type MoneyAudit = {
  checkedAt: Instant
  /** Events of the log that the ledger has not read yet, and those that it could not apply. */
  behind: number
  dead: number
  shops: Map<ShopId, ShopMoney>
}

export type MoneyAuditDeps = {
  database: Database
  settledSeq(): Promise<number>
  now(): Instant
  providers: readonly ProviderRecord[]
  /** What has been asked of providers, and not recorded yet. */
  underWay(): Promise<UnderWay[]>
  /** Waits a little for the ledger to have read what is committed now; where none runs, it does not wait. */
  whenBooked(): Promise<void>
}

/** Where the look at all orders has come to, and the orders that were found wrong, which are looked at every time. */
export type Rounds = { orders: OrderKey; owing: OrderKey; suspects: OrderKey[] }
type OrderKey = { shopId: ShopId; id: Uuid }
const start: OrderKey = { shopId: 0 as ShopId, id: '00000000-0000-0000-0000-000000000000' as Uuid }
export const newRounds = (): Rounds => ({ orders: start, owing: start, suspects: [] })

type Found = MoneyDifference & { shopId: ShopId }

/** `ordersMax`: how many lives are compared, from where the last run stopped; an endless one compares them all. */
export async function runMoneyAudit(deps: MoneyAuditDeps, rounds: Rounds, ordersMax: number): Promise<MoneyAudit> {
  const { database, now } = deps
  await deps.whenBooked()
  const settled = await deps.settledSeq()
  await closeLedger(database, settled)
  const outside = await readOutside(deps, 'before')
  const inside = await database.transaction((session) => compare(session, rounds, settled), 'snapshot')
  await readOutside(deps, 'after', outside)
  const found = [...inside.found, ...(await compareLives(database, rounds, ordersMax))]
  const shops: MoneyAudit['shops'] = new Map()
  for (const [shopId, sums] of sumsOf(inside.accounts, outside)) shops.set(shopId, { sums, differences: [] })
  if (inside.unbooked) found.push(...providerDifferences(inside.accounts, inside.unbooked, outside))
  for (const { shopId, ...difference } of found) {
    const shop = shops.get(shopId) ?? { sums: [], differences: [] }
    shops.set(shopId, shop)
    if (shop.differences.length < limits.auditDifferencesMax) shop.differences.push(difference)
  }
  return { checkedAt: now(), behind: Math.max(0, settled - inside.booked), dead: inside.dead, shops }
}

/** Asked before and after our own sums are read, so that what is going on is told from what is wrong. */
async function readOutside(
  { providers, underWay }: MoneyAuditDeps,
  when: 'before' | 'after',
  outside: Outside = { before: new Map(), after: new Map(), underWay: [] },
): Promise<Outside> {
  for (const { name, sums } of providers) outside[when].set(name, await sums())
  if (when === 'before') outside.underWay = await underWay()
  return outside
}

type Standing = { closed: number; booked: number; dead: number }

/** Closes what the ledger has booked of the log up to `seq`, in stretches; answers how far it is closed. */
export async function closeLedger(database: Database, seq: number): Promise<number> {
  await database.transaction(async (session) => {
    await session.run(sql.lockClosedSql)
    await session.run(sql.healFaultsSql)
  })
  let stretch: number = limits.auditSliceSeqs
  for (;;) {
    try {
      const { closed, isDone } = await closeStretch(database, seq, stretch)
      if (isDone) return closed
    } catch (error) {
      if (!isTimeout(error) || stretch <= limits.auditSliceSeqsMin) throw error
      stretch = Math.ceil(stretch / 4)
    }
  }
}

function closeStretch(database: Database, seq: number, stretch: number): Promise<{ closed: number; isDone: boolean }> {
  return database.transaction(async (session) => {
    await session.run(sql.lockClosedSql)
    const [standing] = await session.run<Standing>(sql.standingSql)
    const { closed: from, booked } = standing!
    const end = Math.min(seq, booked)
    const to = Math.min(end, from + stretch)
    if (to > from) {
      const { count } = await session.run(sql.noteFaultsSql, [from, to])
      await session.run(sql.closeStretchSql, [from, to, count > 0])
      await session.run(sql.moveClosedSql, [to])
    }
    await session.run(sql.dropEvenOrdersSql)
    return { closed: Math.max(from, to), isDone: to >= end }
  })
}

const isTimeout = (error: unknown): boolean => error instanceof StatementFailed && error.code === '57014'

/** `unbooked` is null when the ledger is too far behind for it to be read in a short time: providers are compared later. */
type Inside = Standing & { accounts: AccountSum[]; unbooked: Unbooked[] | null; found: Found[] }

async function compare(session: Session, rounds: Rounds, settled: number): Promise<Inside> {
  const [standing] = await session.run<Standing>(sql.standingSql)
  const { closed, booked } = standing!
  const accounts = await session.run<AccountSum>(sql.accountsSql, [closed])
  const found = balanceDifferences(accounts)
  for (const one of await entryDifferences(session, standing!)) found.push(one)
  for (const one of await unsettledOrders(session, standing!, rounds)) found.push(one)
  const isNear = settled - booked <= limits.auditSliceSeqs
  const unbooked = isNear ? await session.run<Unbooked>(sql.unbookedSql, [booked]) : null
  return { ...standing!, accounts, unbooked, found }
}

function balanceDifferences(accounts: readonly AccountSum[]): Found[] {
  return accounts.flatMap(({ shop_id: shopId, account, currency, debit, credit, balanceDebit, balanceCredit }) => {
    const of = { shopId, check: 'balances', currency, order_id: null } as const
    return [
      { ...of, what: `${account} debit`, expected: debit, actual: balanceDebit },
      { ...of, what: `${account} credit`, expected: credit, actual: balanceCredit },
    ].filter(({ expected, actual }) => expected !== actual)
  })
}

type EntryRecord = {
  shop_id: ShopId
  debit: string
  credit: string
  currency: string
  expected: number | null
  actual: number | null
}

async function entryDifferences(session: Session, { closed, booked }: Standing): Promise<Found[]> {
  const max = limits.auditDifferencesMax
  const records = [
    ...(await session.run<EntryRecord>(sql.entryDifferencesSql.faults, [max])),
    ...(await session.run<EntryRecord>(sql.entryDifferencesSql.stretch, [closed, booked, max])),
  ]
  return records.map(({ shop_id: shopId, debit, credit, currency, expected, actual }) => {
    return { shopId, check: 'entries', what: `${debit} to ${credit}`, currency, order_id: null, expected, actual }
  })
}

type OwingRecord = {
  shop_id: ShopId | null
  order_id: Uuid
  currency: Currency
  receivable: number
  looked: number
  last_shop: ShopId
  last_order: Uuid
}

async function unsettledOrders(session: Session, { closed, booked }: Standing, rounds: Rounds): Promise<Found[]> {
  const { owing } = rounds
  const params = [closed, owing.shopId, owing.id, limits.auditOwingMax, limits.auditDifferencesMax]
  const records = await session.run<OwingRecord>(sql.unsettledSql, params)
  const { looked, last_shop, last_order } = present(records[0], 'the count of orders that owe')
  rounds.owing = looked < limits.auditOwingMax ? start : { shopId: last_shop, id: last_order }
  const orders = records.flatMap(({ shop_id: shopId, order_id: id, currency, receivable }) =>
    shopId === null
      ? []
      : [{ shopId, id, check: 'unsettled', what: 'receivable', currency, expected: 0, actual: receivable } as const],
  )
  return (await readByLedger(session, booked, orders)).map(({ id: _, ...difference }) => difference)
}

/** Looks at the lives of the orders that were wrong the last time, and of the next ones, a slice at a time. */
async function compareLives(database: Database, rounds: Rounds, ordersMax: number): Promise<Found[]> {
  const found: Found[] = []
  const suspects: OrderKey[] = []
  const look = async (keys: readonly OrderKey[]): Promise<void> => {
    if (keys.length === 0) return
    const differing = await database.transaction((session) => livesDiffering(session, keys), 'snapshot')
    for (const { id, ...difference } of differing) {
      found.push(difference)
      if (suspects.length < limits.auditDifferencesMax && suspects.at(-1)?.id !== id)
        suspects.push({ shopId: difference.shopId, id })
    }
  }
  await look(rounds.suspects)
  const known = new Set(rounds.suspects.map(({ id }) => id))
  for (let left = ordersMax; left > 0; left -= limits.auditOrdersSlice) {
    const { shopId, id } = rounds.orders
    const size = Math.min(left, limits.auditOrdersSlice)
    const next = await database.query<{ shop_id: ShopId; id: Uuid }>(sql.nextOrdersSql, [shopId, id, size])
    const keys = next.map((one) => ({ shopId: one.shop_id, id: one.id }))
    await look(keys.filter((one) => !known.has(one.id)))
    rounds.orders = keys.length < size ? start : keys.at(-1)!
    if (rounds.orders === start) break
  }
  rounds.suspects = suspects
  return found
}

type LifeRecord = {
  shop_id: ShopId
  order_id: Uuid
  currency: Currency
  what: string
  expected: number
  actual: number
}

async function livesDiffering(session: Session, keys: readonly OrderKey[]): Promise<(Found & { id: Uuid })[]> {
  const params = [bareArray(keys.map(({ shopId }) => shopId)), bareArray(keys.map(({ id }) => id))]
  const [standing] = await session.run<Standing>(sql.standingSql)
  const records = await session.run<LifeRecord>(sql.lifeDifferencesSql, params)
  const orders = records.map(({ shop_id: shopId, order_id: id, ...rest }) => ({
    ...rest,
    shopId,
    id,
    check: 'orders' as const,
  }))
  return readByLedger(session, standing!.booked, orders)
}

type OfOrder = Omit<Found, 'order_id'> & { id: Uuid }

/** Those whose events the ledger has all read; of the others nothing can be said yet. */
async function readByLedger(
  session: Session,
  booked: number,
  orders: readonly OfOrder[],
): Promise<(Found & { id: Uuid })[]> {
  if (orders.length === 0) return []
  const [any] = await session.run<{ subject: string }>(sql.anySubjectSql)
  const cell = any ? parseWireId(any.subject)?.cell : undefined
  const named = orders.map((one) => ({ ...one, order_id: nameOf(cell, one.id) }))
  const subjects = textArray([...new Set(named.map(({ order_id }) => order_id))])
  const behind = await session.run<{ subject: string }>(sql.behindSql, [subjects, booked])
  const unread = new Set(behind.map(({ subject }) => subject))
  return named.filter(({ order_id }) => !unread.has(order_id))
}

const nameOf = (cell: CellName | undefined, id: Uuid): string => (cell ? toWireId('ord', cell, id) : id)
