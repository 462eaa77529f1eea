// What is appended is what is read, in the order it was given.
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { instant } from '../../src/base/time.ts'
import { readRange } from '../../src/runtime/event-log.ts'
import { anEvent, append, createEventLog, type EventLog } from '../support/event-log.ts'

let log: EventLog

beforeAll(async () => {
  log = await createEventLog()
})
afterAll(() => log.database.close())

test('events get their seq in the order given, and keep every field as it was', async () => {
  const field = fc.record({
    shopId: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    subject: fc.string({ minLength: 1, unit: 'binary' }).filter((text) => !text.includes('\0')),
    subjectVersion: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    type: fc.constantFrom('order.placed', 'stock.adjusted'),
    at: fc.integer({ min: 0, max: 253_402_300_799_999 }).map(instant),
    data: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.constant(null))),
    traceparent: fc.option(fc.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)),
    moves: fc
      .array(fc.integer({ min: -(10 ** 12), max: 10 ** 12 }), { maxLength: 3 })
      .map((five) => five.flatMap((n) => [1, n, n, n, n])),
  })
  const batch = fc.array(field, { minLength: 1, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(batch, async (fields) => {
      const events = fields.map(anEvent)
      const inserted = await log.database.transaction((session) => append(session, events))
      expect(inserted.count).toBe(events.length)
      const [newest] = await log.database.query<{ seq: number }>('select max(seq) as seq from runtime.events')
      const range = { fromSeq: newest!.seq - events.length, toSeq: newest!.seq, max: 100 }
      const read = await readRange((text, params) => log.database.query(text, params), range)
      expect(read.map(({ seq, data, ...rest }) => ({ ...rest, data: JSON.parse(data) }))).toEqual(
        events.map(({ moves, data, ...rest }) => ({ ...rest, data: JSON.parse(JSON.stringify(data)) })),
      )
      const moves = await log.database.query<{ moves: number[] }>(
        'select moves from runtime.events where seq > $1 order by seq',
        [range.fromSeq],
      )
      expect(moves.map((row) => row.moves)).toEqual(events.map((event) => event.moves))
    }),
    { numRuns: 40 },
  )
})

test('moves that are not groups of five are refused', async () => {
  const broken = log.database.transaction((session) => append(session, [anEvent({ moves: [1, 2, 3] })]))
  await expect(broken).rejects.toMatchObject({ code: '23514' })
})

test('whoever has drawn a seq shows as a writer of the log until the transaction ends', async () => {
  const locks = () =>
    log.database.query(`select from pg_locks where relation = 'runtime.events'::regclass and mode = 'RowExclusiveLock'`)
  expect(await locks()).toHaveLength(0)
  await log.database.transaction(async (session) => {
    await append(session, [anEvent()])
    expect(await locks()).toHaveLength(1)
  })
  expect(await locks()).toHaveLength(0)
})
