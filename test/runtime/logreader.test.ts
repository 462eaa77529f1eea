// The log is read without a gap and in order, whatever order transactions commit in; and positions mean what they say.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { prng } from '../../src/base/prng.ts'
import { type LogEvent, readRange } from '../../src/runtime/event-log.ts'
import { parseTypes, type TypeFilter } from '../../src/runtime/event-types.ts'
import { declareRestored } from '../../src/runtime/incarnation.ts'
import type { LogReader } from '../../src/runtime/logreader.ts'
import { dropEventPartitions, ensureEventPartitions } from '../../src/runtime/partitions.ts'
import type { Session } from '../../src/runtime/pg-session.ts'
import { formatPosition, parsePosition } from '../../src/runtime/position.ts'
import { anEvent, append, createEventLog, type EventLog, history, readerOf } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'

const types = (text: string): TypeFilter => parseTypes(text) as TypeFilter
const versions = (events: readonly LogEvent[]) => events.map((event) => `${event.subject}:${event.subjectVersion}`)

/** Resolves when the reader has looked so many more times, so that what it would have shown by then, it has shown. */
async function looked(log: EventLog, times: number): Promise<void> {
  const seen = new Set<string>()
  await eventually(async () => {
    const rows = await log.database.query<{ began: string }>(
      `select query_start::text as began from pg_stat_activity
       where datname = current_database() and application_name = 'test log reader'`,
    )
    for (const row of rows) seen.add(row.began)
    return seen.size > times
  })
}

async function pageOf(reader: LogReader, request: Parameters<LogReader['page']>[0]) {
  const page = await reader.page(request)
  if (!page.ok) throw new Error(page.code)
  return page.value
}

describe('two transactions that commit in the other order than they drew their seqs', () => {
  let log: EventLog
  let reader: LogReader
  let early: Session
  let late: Session

  beforeEach(async () => {
    log = await createEventLog()
    reader = await readerOf(log)
    early = await log.database.openSession('early')
    late = await log.database.openSession('late')
    return async () => {
      await Promise.all([early.close(), late.close(), reader.stop()])
      await log.database.close()
    }
  })

  async function commitInOtherOrder(between: () => Promise<void>): Promise<void> {
    await early.run('begin read write')
    await append(early, [anEvent({ subject: 'drawn-first' })])
    await late.run('begin read write')
    await append(late, [anEvent({ subject: 'drawn-second' })])
    await late.run('commit')
    await between()
    await early.run('commit')
  }

  test('a plain cursor misses the one that commits later', async () => {
    const read = (fromSeq: number) =>
      readRange((text, params) => log.database.query(text, params), {
        fromSeq,
        toSeq: Number.MAX_SAFE_INTEGER,
        max: 100,
      })
    const seen: LogEvent[] = []
    await commitInOtherOrder(async () => void seen.push(...(await read(0))))
    seen.push(...(await read(seen.at(-1)!.seq)))
    expect(seen.map((event) => event.subject)).toEqual(['drawn-second'])
  })

  test('the reader waits for it, and gives both in order', async () => {
    const stop = new AbortController()
    const followed = await reader.follow({}, stop.signal)
    const seen: string[] = []
    const following = (async () => {
      if (followed.ok) for await (const page of followed.value) seen.push(...page.events.map((event) => event.subject))
    })()
    await commitInOtherOrder(async () => {
      await looked(log, 5)
      expect(seen).toEqual([])
      expect((await pageOf(reader, { limit: 10 })).events).toEqual([])
    })
    await eventually(() => seen.length === 2)
    stop.abort()
    await following
    expect(seen).toEqual(['drawn-first', 'drawn-second'])
    expect((await pageOf(reader, { limit: 10 })).events.map((event) => event.subject)).toEqual(seen)
  })

  test('a transaction that begins to write later is not waited for', async () => {
    await log.database.transaction((session) => append(session, [anEvent({ subject: 'done' })]))
    await eventually(() => reader.horizon === 1)
    await early.run('begin read write')
    await append(early, [anEvent({ subject: 'still open' })])
    expect((await pageOf(reader, { limit: 10 })).events.map((event) => event.subject)).toEqual(['done'])
    await early.run('rollback')
  })

  test('seqs that were rolled back never become part of a position', async () => {
    await log.database.transaction((session) => append(session, [anEvent()]))
    await early.run('begin read write')
    await append(early, history('rolled-back', 5))
    await early.run('rollback')
    await eventually(() => reader.horizon === 1)
    await looked(log, 5)
    const page = await pageOf(reader, { limit: 10 })
    expect(parsePosition(page.nextPosition)!.seq).toBe(1)
  })
})

test('eight writers, 25,000 events, transactions of any length and some rolled back: none missed, none out of order', async () => {
  const log = await createEventLog()
  const reader = await readerOf(log)
  const total = 25_000
  const random = prng(7)
  const committed = new Set<string>()
  let left = total

  async function writer(number: number): Promise<void> {
    const chance = random.fork()
    const session = await log.database.openSession(`writer ${number}`)
    let version = 0
    while (left > 0) {
      const count = Math.min(left, chance.between(1, 60))
      left -= count
      const events = history(`subject-${number}`, count).map((event, at) => ({
        ...event,
        subjectVersion: version + at + 1,
      }))
      void session.run('begin read write')
      const parts = chance.between(1, 3)
      for (let part = 0; part < parts; part++) {
        const some = events.slice(Math.floor((count * part) / parts), Math.floor((count * (part + 1)) / parts))
        if (some.length > 0) void append(session, some)
        if (chance.chance(0.3)) await session.run('select pg_sleep($1)', [chance.next() * 0.01])
      }
      if (chance.chance(0.15)) {
        await session.run('rollback')
        left += count
        continue
      }
      expect((await session.run('commit')).command).toBe('COMMIT')
      reader.poke()
      version += count
      for (const event of events) committed.add(event.eventId)
    }
    await session.close()
  }

  const stop = new AbortController()
  const live: LogEvent[] = []
  const followed = await reader.follow({}, stop.signal)
  if (!followed.ok) throw new Error(followed.code)
  const following = (async () => {
    for await (const page of followed.value) live.push(...page.events)
  })()
  await Promise.all(Array.from({ length: 8 }, (_, number) => writer(number)))
  await eventually(() => live.length >= committed.size, 10_000)
  stop.abort()
  await following

  expect(committed.size).toBe(total)
  expect(live.length).toBe(total)
  expect(live.filter((event) => !committed.has(event.eventId))).toEqual([])
  expect(live.every((event, at) => at === 0 || event.seq > live[at - 1]!.seq)).toBe(true)
  const next = new Map<string, number>()
  const outOfOrder = live.filter((event) => {
    const expected = next.get(event.subject) ?? 1
    next.set(event.subject, event.subjectVersion + 1)
    return event.subjectVersion !== expected
  })
  expect(outOfOrder).toEqual([])

  const paged: LogEvent[] = []
  for (let after = '', empty = false; !empty; ) {
    const page = await pageOf(reader, { after, limit: 500 })
    paged.push(...page.events)
    after = page.nextPosition
    empty = page.events.length === 0
  }
  expect(paged.map((event) => event.seq)).toEqual(live.map((event) => event.seq))
  await reader.stop()
  await log.database.close()
})

describe('pages and streams', () => {
  let log: EventLog
  let reader: LogReader

  beforeAll(async () => {
    log = await createEventLog({ seqs: 100, ahead: 1 })
    reader = await readerOf(log)
    await log.database.transaction((session) =>
      append(
        session,
        history('order/1', 60).map((event, at) => ({
          ...event,
          shopId: at % 3 === 0 ? 2 : 1,
          type: at % 10 === 0 ? 'stock.adjusted' : at % 2 ? 'order.placed' : 'order.cancelled',
        })),
      ),
    )
    await eventually(() => reader.horizon === 60)
  })
  afterAll(async () => {
    await reader.stop()
    await log.database.close()
  })

  test('a page holds only what was asked for, and pages follow on each other', async () => {
    const all: LogEvent[] = []
    for (let after: string | undefined, more = true; more; ) {
      const page = await pageOf(reader, { after, shopId: 1, types: types('order.placed'), limit: 7 })
      all.push(...page.events)
      after = page.nextPosition
      more = page.events.length > 0
    }
    const expected = Array.from({ length: 60 }, (_, at) => at).filter(
      (at) => at % 3 !== 0 && at % 10 !== 0 && at % 2 === 1,
    )
    expect(all.map((event) => event.subjectVersion - 1)).toEqual(expected)
  })

  test('an empty page moves past what does not match', async () => {
    const page = await pageOf(reader, { shopId: 99, limit: 7 })
    expect(page.events).toEqual([])
    expect(parsePosition(page.nextPosition)!.seq).toBe(60)
  })

  test.each([
    ['order.*', 54],
    ['stock.adjusted', 6],
    ['stock.*,order.cancelled', 30],
    ['*', 60],
    ['nothing.like.it', 'invalid'],
    ['Order.*', 'invalid'],
    ['order', 'invalid'],
  ])('the types %s match %s', async (text, expected) => {
    const filter = parseTypes(text)
    if (filter === 'invalid') return expect(filter).toBe(expected)
    expect((await pageOf(reader, { types: filter, limit: 100 })).events).toHaveLength(expected as number)
  })

  test('a stream from memory, a stream from the database and pages show the same', async () => {
    const stop = new AbortController()
    const counts: (() => number)[] = []
    const collect = async (filter: TypeFilter): Promise<string[]> => {
      const seen: string[] = []
      counts.push(() => seen.length)
      const followed = await reader.follow({ types: filter }, stop.signal)
      if (followed.ok) for await (const page of followed.value) seen.push(...versions(page.events))
      return seen
    }
    const filter = types('order.cancelled')
    const wasThere = collect(filter)
    await log.database.transaction((session) => append(session, history('order/2', 20, { type: 'order.cancelled' })))
    await eventually(() => reader.horizon === 80)
    const cameLate = collect(filter)
    await log.database.transaction((session) => append(session, history('order/3', 3, { type: 'order.cancelled' })))
    await eventually(() => reader.horizon === 83)
    const expected = versions((await pageOf(reader, { types: filter, limit: 100 })).events)
    await eventually(() => counts.every((count) => count() === expected.length))
    stop.abort()
    expect(await wasThere).toEqual(expected)
    expect(await cameLate).toEqual(expected)
  })

  test('a stream goes on without a gap when the reader loses its connection', async () => {
    const stop = new AbortController()
    const seen: number[] = []
    const after = reader.position(reader.horizon)
    const followed = await reader.follow({ after }, stop.signal)
    const following = (async () => {
      if (followed.ok)
        for await (const page of followed.value) seen.push(...page.events.map((event) => event.subjectVersion))
    })()
    for (const event of history('order/cut', 6)) {
      await log.database.transaction((session) => append(session, [event]))
      await log.database.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'test log reader'`,
      )
    }
    await eventually(() => seen.length >= 6)
    stop.abort()
    await following
    expect(seen).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('garbage, and a position of a database that this one never was, are refused as cursor_invalid', async () => {
    const stranger = formatPosition({
      incarnation: parsePosition(reader.position(1))!.incarnation.replace(/^./, (digit) =>
        digit === '0' ? '1' : '0',
      ) as never,
      seq: 1,
    })
    for (const after of ['x', '0', stranger, `${reader.position(3)}A`, reader.position(3).slice(1)]) {
      expect(await reader.page({ after, limit: 1 })).toMatchObject({ ok: false, code: 'cursor_invalid' })
    }
  })

  test('positions are read back as they were written', () => {
    const position = { incarnation: '01890000-0000-7000-8000-00000000abcd' as never, seq: 2 ** 47 }
    expect(parsePosition(formatPosition(position))).toEqual(position)
  })
})

describe('retention', () => {
  test('a position older than what is kept has expired; no position begins at the oldest kept', async () => {
    const log = await createEventLog({ seqs: 10, ahead: 3 })
    const reader = await readerOf(log)
    await log.database.transaction((session) => append(session, history('order/1', 35)))
    await eventually(() => reader.horizon === 35)
    const dropped = await dropEventPartitions(log.database, async (partition) => partition.toSeq <= 21)
    expect(dropped).toEqual(['events_1', 'events_11'])
    expect(await reader.page({ after: reader.position(19), limit: 1 })).toMatchObject({
      ok: false,
      code: 'position_expired',
    })
    expect((await pageOf(reader, { after: reader.position(20), limit: 1 })).events[0]!.seq).toBe(21)
    expect((await pageOf(reader, { limit: 1 })).events[0]!.seq).toBe(21)
    await reader.stop()
    await log.database.close()
  })

  test('partitions are made ahead, once, while writers write', async () => {
    const log = await createEventLog({ seqs: 10, ahead: 1 })
    const open = await log.database.openSession('writer')
    await open.run('begin read write')
    await append(open, history('order/1', 15))
    const makers = Array.from({ length: 5 }, () => ensureEventPartitions(log.database, { seqs: 10, ahead: 2 }))
    expect((await Promise.all(makers)).flat()).toEqual(['events_21', 'events_31'])
    expect((await open.run('commit')).command).toBe('COMMIT')
    await log.database.transaction((session) => append(session, history('order/2', 15)))
    await open.close()
    await log.database.close()
  })

  test('what a consumer has still to read is not dropped, nor what is written to', async () => {
    const log = await createEventLog({ seqs: 10, ahead: 2 })
    await log.database.transaction((session) => append(session, history('order/1', 25)))
    const consumer = (seq: number) =>
      log.database.transaction((session) =>
        session.run(
          `insert into runtime.consumers (name, incarnation, seq) values ('slow', $2, $1)
           on conflict (name) do update set seq = excluded.seq`,
          [seq, log.lives.at(-1)!.incarnation],
        ),
      )
    await consumer(9)
    expect(await dropEventPartitions(log.database, async () => true)).toEqual([])
    await consumer(10)
    expect(await dropEventPartitions(log.database, async () => true)).toEqual(['events_1'])
    await consumer(25)
    expect(await dropEventPartitions(log.database, async () => true)).toEqual(['events_11'])
    await log.database.close()
  })
})

describe('a new life of the database', () => {
  test('sends a reader back to where the ways parted, and ends its streams', async () => {
    const log = await createEventLog()
    const before = await readerOf(log)
    await log.database.transaction((session) => append(session, history('order/1', 10)))
    await eventually(() => before.horizon === 10)
    const [within, lost] = [before.position(4), before.position(17)] // 17: given out in the life that was left
    await before.stop()

    const lives = await declareRestored(log.database)
    const after = await readerOf({ ...log, lives })
    await log.database.transaction((session) => append(session, history('order/2', 10)))
    await eventually(() => after.horizon === 20)
    expect((await pageOf(after, { after: within, limit: 1 })).events[0]!.seq).toBe(5)
    expect((await pageOf(after, { after: lost, limit: 1 })).events[0]!.seq).toBe(11)

    const followed = await after.follow({}, new AbortController().signal)
    const pages = followed.ok ? followed.value : undefined
    expect((await pages!.next()).value!.events).toHaveLength(20)
    await declareRestored(log.database)
    const backends = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'test log reader' and datname = current_database()`
    await log.database.query(backends)
    expect(await pages!.next()).toEqual({ done: true, value: undefined })
    await after.stop()
    await log.database.close()
  })
})
