// The ledger on a real log: every event is booked once, however often it is read, and what stands is never changed.
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Uuid } from '../../../src/base/ids.ts'
import { instant } from '../../../src/base/time.ts'
import { closeLedger, newRounds, runMoneyAudit } from '../../../src/modules/ledger/audit.ts'
import { ledgerConsumer } from '../../../src/modules/ledger/consumer.ts'
import { entriesOf, eventOf } from '../../../src/modules/ledger/decide.ts'
import { readBookedSeq } from '../../../src/modules/ledger/store.ts'
import type { Booking } from '../../../src/modules/ledger/types.ts'
import { postgresBus } from '../../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { ensureIncarnation } from '../../../src/runtime/incarnation.ts'
import { type LogReader, startLogReader } from '../../../src/runtime/logreader.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { cell, openTestCell, shopId } from '../../support/engine.ts'
import { append } from '../../support/event-log.ts'
import { eventually } from '../../support/eventually.ts'
import { anyLife } from '../orders/life-any.ts'
import { playLife } from './lives.ts'

let database: Database
let reader: LogReader
let consuming: ReturnType<typeof startConsumer>
const errors: unknown[] = []

const lastSeq = async () =>
  (await database.query<{ seq: number }>('select coalesce(max(seq), 0)::bigint as seq from runtime.events'))[0]!.seq
const booked = async () => {
  const seq = await lastSeq()
  await eventually(async () => (await readBookedSeq(database)) >= seq, 20_000)
}
const write = (...texts: string[]) =>
  database.transaction(async (session) => {
    for (const text of texts) await session.run(text)
  })

function startConsumer() {
  const bus = postgresBus({ database, reader, clock: systemClock, onError: (_, error) => void errors.push(error) })
  bus.consume(ledgerConsumer())
  return bus
}

/** The events of many lives, as the engine would have appended them. */
const lives = fc.sample(anyLife, { numRuns: 60, seed: 7 }).map((life) => playLife(life))
const byHand = ([kind, owedBy]: readonly [Booking['kind'], Booking['owedBy']], n: number) => {
  const order = lives[0]!.orders[0]!
  const id = `00000000-0000-7000-8000-00000000000${n}` as Uuid
  const money = { currency: order.currency, amount: (n + 1) as Booking['amount'] }
  const booking = { shopId, id, at: instant(0), kind, orderId: order.id, owedBy, ...money, reason: 'test' }
  return { ...eventOf(booking, cell, id), data: eventOf(booking, cell, id).data as Record<string, unknown> }
}
const bookings = [
  ['fee', null],
  ['written_off', 'buyer'],
  ['written_off', 'shop'],
] as const
const events = [...lives.flatMap((life) => life.events), ...bookings.map(byHand)]

beforeAll(async () => {
  database = await openTestCell()
  const lives = await ensureIncarnation(database)
  reader = await startLogReader({
    database,
    lives,
    now: Date.now,
    pollMs: 10,
    onError: (error) => void errors.push(error),
  })
  consuming = startConsumer()
  const appended = events.map((event) => ({ ...event, eventId: randomUUID() as Uuid, at: instant(Date.now()) }))
  await database.transaction((session) => append(session, appended))
  await booked()
}, 60_000)
afterAll(async () => {
  await consuming.close()
  await reader.stop()
  await database.close()
  expect(errors).toEqual([])
})

type Balances = { account: string; balance: number }[]
const snapshot = async () => ({
  entries: await database.query(
    'select seq, line, kind, order_id, payment_id, debit, credit, currency, amount from ledger.entries order by 1, 2',
  ),
  balances: await database.query<Balances[number]>('select * from ledger.balances order by 1, 2, 3'),
})

const differences = async (check: string) => {
  const deps = { database, settledSeq: lastSeq, now: () => instant(Date.now()) }
  const outside = { providers: [], underWay: async () => [], whenBooked: async () => {} }
  const { shops } = await runMoneyAudit({ ...deps, ...outside }, newRounds(), 0)
  return [...shops.values()].flatMap((shop) => shop.differences).filter((one) => one.check === check)
}

test('every event is booked, and balances are the sums of their entries', async () => {
  const expected = events.flatMap(({ type, data }) => entriesOf(type, data))
  expect(expected.length).toBeGreaterThan(100)
  const { entries, balances } = await snapshot()
  expect(entries.length).toBe(expected.length)
  const balanceOf = (account: string) => {
    const debits = expected.filter(({ debit }) => debit === account).reduce((sum, { amount }) => sum + amount, 0)
    return debits - expected.filter(({ credit }) => credit === account).reduce((sum, { amount }) => sum + amount, 0)
  }
  for (const { account, balance } of balances) {
    expect(balance, account).toBe(balanceOf(account))
  }
  expect(balances.reduce((sum, { balance }) => sum + balance, 0)).toBe(0)
})

test('the audit’s own account of the log, in SQL, is that of the consumer', async () => {
  expect(await differences('entries')).toEqual([])
  expect(await differences('balances')).toEqual([])
})

describe.each([
  ['the inbox kept', []],
  ['the inbox lost', ["delete from runtime.inbox where consumer = 'ledger'"]],
])('read again from the start, %s', (_, losses) => {
  test('it changes nothing', async () => {
    const before = await snapshot()
    await consuming.close()
    await write(
      ...losses,
      "delete from runtime.inbox_subjects where consumer = 'ledger'",
      "update runtime.consumers set seq = 0 where name = 'ledger'",
    )
    consuming = startConsumer()
    await booked()
    expect(await snapshot()).toEqual(before)
  })
})

test.each(['update ledger.entries set amount = amount + 1', 'delete from ledger.entries', 'truncate ledger.entries'])(
  '%s: refused to everyone',
  async (statement) => {
    await expect(write(statement)).rejects.toThrow(/never changed/)
  },
)

const bypassing = (text: string) => write('set local session_replication_role = replica', text)
const one = `(select seq from ledger.entries where debit = 'receivable' and credit = 'sales' order by seq desc limit 1)`

test('closed in stretches, the sums are the same', async () => {
  await write(
    'truncate ledger.closed, ledger.closed_orders, ledger.faults',
    'update ledger.closed_position set closed_seq = 0',
  )
  const half = Math.floor((await lastSeq()) / 2)
  expect(await closeLedger(database, half)).toBe(half)
  expect(await differences('balances')).toEqual([])
  expect(await closeLedger(database, half)).toBe(await lastSeq()) // it is closed so far already
  expect(await differences('balances')).toEqual([])
})

test('an entry that was missing when its stretch was closed is told until it is there, and then counted once', async () => {
  await write(
    'truncate ledger.closed, ledger.closed_orders, ledger.faults',
    'update ledger.closed_position set closed_seq = 0',
  )
  await write(`create table lost as select * from ledger.entries where seq = ${one}`)
  await bypassing('delete from ledger.entries where seq in (select seq from lost)')
  for (let round = 0; round < 2; round++) {
    expect(await differences('entries')).toMatchObject([{ what: 'receivable to sales', actual: null }])
    expect(await differences('balances')).toMatchObject([{ what: 'receivable debit' }, { what: 'sales credit' }])
  }
  await write('insert into ledger.entries select * from lost')
  for (let round = 0; round < 2; round++) {
    expect(await differences('entries')).toEqual([])
    expect(await differences('balances')).toEqual([])
  }
  expect(await database.query('select * from ledger.faults')).toEqual([])
})

test('an entry that the log knows nothing of is found', async () => {
  await write(
    'truncate ledger.closed, ledger.closed_orders, ledger.faults',
    'update ledger.closed_position set closed_seq = 0',
  )
  await write(`
    insert into ledger.entries select shop_id, seq, 9, at, kind, order_id, payment_id, debit, credit, currency, 77
    from ledger.entries where seq = ${one} and line = 1`)
  expect(await differences('entries')).toMatchObject([{ expected: null, actual: 77 }])
  await bypassing('delete from ledger.entries where line = 9')
  expect(await differences('entries')).toEqual([])
})
