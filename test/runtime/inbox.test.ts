// Whatever arrives, how often and in which order: each event is taken once, and only after the one before it.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type LogEvent, readGaps } from '../../src/runtime/event-log.ts'
import {
  alignPosition,
  lockPosition,
  type Reread,
  storePosition,
  takeFresh,
  trimInbox,
  trimInboxBehindLog,
} from '../../src/runtime/inbox.ts'
import { declareRestored, presentLife } from '../../src/runtime/incarnation.ts'
import { bareArray } from '../../src/runtime/pg-values.ts'
import { anEvent, append, createEventLog, type EventLog, history } from '../support/event-log.ts'

let log: EventLog
let consumers = 0

beforeAll(async () => {
  log = await createEventLog()
})
afterAll(() => log.database.close())

const newConsumer = (): string => `consumer ${++consumers}`

/** As the log would hand them out. */
const logged = (subject: string, count: number, firstSeq = 1): LogEvent[] =>
  history(subject, count).map(({ moves, data, ...event }, at) => ({
    ...event,
    data: JSON.stringify(data),
    seq: firstSeq + at,
  }))

const take = (consumer: string, events: readonly LogEvent[], reread?: Reread): Promise<number[]> =>
  log.database.transaction(async (session) => {
    const fresh = await takeFresh(session, consumer, events, reread)
    return fresh.map((event) => event.subjectVersion)
  })

const from =
  (events: readonly LogEvent[]): Reread =>
  async (gaps) =>
    events.filter((event) =>
      gaps.some(
        (gap) =>
          gap.shopId === event.shopId &&
          gap.subject === event.subject &&
          event.subjectVersion > gap.afterVersion &&
          event.subjectVersion < gap.beforeVersion,
      ),
    )

describe('the inbox', () => {
  test('counts the versions of a subject within its shop: shops may sell the same SKU', async () => {
    const consumer = newConsumer()
    const own = logged('sku:A-1', 2)
    const foreign = logged('sku:A-1', 2, 3).map((event) => ({ ...event, shopId: 2 }))
    expect(await take(consumer, own)).toEqual([1, 2])
    expect(await take(consumer, foreign.slice(1), from([...own, ...foreign]))).toEqual([1, 2])
  })

  test('takes an event that is delivered twice once, in one delivery or in two', async () => {
    const consumer = newConsumer()
    const events = logged('order/1', 3)
    expect(await take(consumer, [...events, ...events])).toEqual([1, 2, 3])
    expect(await take(consumer, events)).toEqual([])
  })

  test('drops what is older than what it has', async () => {
    const consumer = newConsumer()
    const events = logged('order/1', 5)
    await take(consumer, events.slice(0, 4))
    const late = { ...events[1]!, eventId: anEvent().eventId } // another event that claims version 2
    expect(await take(consumer, [late, events[4]!])).toEqual([5])
  })

  test('fetches what is missing before it goes on', async () => {
    const consumer = newConsumer()
    const events = logged('order/1', 6)
    expect(await take(consumer, [events[0]!, events[5]!], from(events))).toEqual([1, 2, 3, 4, 5, 6])
    expect(await take(consumer, events, from(events))).toEqual([])
  })

  test('goes on without what its log no longer has', async () => {
    const consumer = newConsumer()
    const events = logged('order/1', 6)
    expect(await take(consumer, [events[5]!], from([events[3]!]))).toEqual([4, 6])
  })

  test('re-reads a gap from the log itself', async () => {
    const consumer = newConsumer()
    await log.database.transaction((session) => append(session, history('order/gap', 8)))
    const [last] = await log.database.query<LogEvent>(
      `select seq, shop_id as "shopId", event_id as "eventId", subject, subject_version as "subjectVersion" from runtime.events where subject = 'order/gap' order by seq desc limit 1`,
    )
    const reread: Reread = (gaps) => readGaps((text, params) => log.database.query(text, params), gaps, last!.seq, 3)
    expect(await take(consumer, [last!], reread)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test('an effect that is rolled back is not remembered', async () => {
    const consumer = newConsumer()
    const events = logged('order/1', 2)
    const failing = log.database.transaction(async (session) => {
      await takeFresh(session, consumer, events)
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await take(consumer, events)).toEqual([1, 2])
  })

  test('applies every event once and in order, however deliveries are cut, repeated and shuffled', async () => {
    const subjects = ['a', 'b', 'c']
    const all = subjects.flatMap((subject, at) => logged(subject, 6, 1 + at * 6))
    const delivery = fc.array(fc.nat({ max: all.length - 1 }), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(fc.array(delivery, { minLength: 1, maxLength: 8 }), async (deliveries) => {
        const consumer = newConsumer()
        const applied = new Map<string, number[]>(subjects.map((subject) => [subject, []]))
        for (const indexes of [...deliveries, all.map((_, at) => at)]) {
          const delivered = indexes.map((index) => all[index]!)
          const fresh = await log.database.transaction((session) => takeFresh(session, consumer, delivered, from(all)))
          for (const event of fresh) applied.get(event.subject)!.push(event.subjectVersion)
        }
        for (const subject of subjects) expect(applied.get(subject)).toEqual([1, 2, 3, 4, 5, 6])
      }),
      { numRuns: 30 },
    )
  })

  test('forgets only what is older than the events that are kept, however much that is', async () => {
    const old = logged('order/old', 12_000)
    const consumer = newConsumer()
    await take(consumer, old)
    await take(consumer, logged('order/new', 2))
    expect(await trimInbox(log.database, 35)).toBe(0)
    await log.database.transaction(async (session) => {
      await session.run(`
        insert into runtime.inbox_subjects (consumer, subject, version, updated_at)
        select 'gone', 'order/' || n, 1, clock_timestamp() - interval '36 days' from generate_series(1, 11000) n`)
      await session.run(
        `update runtime.inbox set received_at = received_at - interval '36 days' where consumer = $1 and event_id = any ($2::uuid[])`,
        [consumer, bareArray(old.map((event) => event.eventId))],
      )
    })
    expect(await trimInbox(log.database, 35)).toBe(23_000)
    expect(await take(consumer, logged('order/new', 3))).toEqual([3])
    expect(await trimInbox(log.database, 35)).toBe(0)
  })
})

describe('a consumer that meets a new life of the database', () => {
  test('goes back to where the ways parted, and knows by event id what it has applied', async () => {
    const consumer = newConsumer()
    const subject = `order/${consumer}`
    const shared = logged(subject, 3)
    const left = logged(subject, 5).slice(3) // versions 4 and 5 of the life that was left
    const lives = log.lives
    await take(consumer, [...shared, ...left])
    await log.database.transaction((session) =>
      storePosition(session, consumer, { incarnation: presentLife(lives).incarnation, seq: 1_000_000 }),
    )
    const [last] = await log.database.query<{ last: number }>('select last_value as last from runtime.event_seq')

    const now = await declareRestored(log.database)
    const seq = await log.database.transaction((session) => alignPosition(session, consumer, now, 0))
    expect(seq).toBe(last!.last)
    const position = await log.database.transaction((session) => lockPosition(session, consumer))
    expect(position).toMatchObject({ incarnation: presentLife(now).incarnation, seq })

    const again = { ...logged(subject, 4)[3]!, seq: 4 } // another version 4, made in the present life
    expect(await take(consumer, [...shared, again])).toEqual([4])
  })

  test('begins at the oldest event kept when the life it knew is unknown here', async () => {
    const consumer = newConsumer()
    const stranger = '01890000-0000-7000-8000-000000000001' as never
    await log.database.transaction((session) => storePosition(session, consumer, { incarnation: stranger, seq: 77 }))
    expect(await log.database.transaction((session) => alignPosition(session, consumer, log.lives, 5))).toBe(5)
  })
})

describe('trimming behind the log', () => {
  test('forgets nothing of an event that is kept, however old, and all of what is not', async () => {
    const consumer = newConsumer()
    const events = logged('order/kept', 3)
    await take(consumer, events)
    const age = (days: number) =>
      log.database.transaction(async (session) => {
        const params = [consumer, days]
        await session.run(
          `update runtime.inbox set received_at = clock_timestamp() - $2 * interval '1 day' where consumer = $1`,
          params,
        )
        await session.run(
          `update runtime.inbox_subjects set updated_at = clock_timestamp() - $2 * interval '1 day' where consumer = $1`,
          params,
        )
      })
    const oldest = (days: number) =>
      log.database.transaction((session) =>
        session.run(`update runtime.events set at = clock_timestamp() - $1 * interval '1 day'`, [days]),
      )
    const known = async () =>
      (await log.database.query('select from runtime.inbox where consumer = $1', [consumer])).count
    await log.database.transaction((session) => append(session, history('order/any', 1)))
    await oldest(100)
    await age(99)
    await trimInboxBehindLog(log.database)
    expect(await known()).toBe(3)
    expect(await take(consumer, events)).toEqual([])
    await oldest(1)
    await age(34)
    await trimInboxBehindLog(log.database)
    expect(await known()).toBe(3)
    await age(37)
    await trimInboxBehindLog(log.database)
    expect(await known()).toBe(0)
  })
})
