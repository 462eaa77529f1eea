// What every bus promises. An implementation's test calls `busContract` with a way to run it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Bus, Consumer } from '../../src/runtime/bus.ts'
import type { LogEvent } from '../../src/runtime/event-log.ts'
import { parseTypes, type TypeFilter } from '../../src/runtime/event-types.ts'
import type { NewEvent } from '../../src/runtime/outbox.ts'
import type { Database } from '../../src/runtime/pg.ts'
import type { Session } from '../../src/runtime/pg-session.ts'
import { textArray } from '../../src/runtime/pg-values.ts'
import { history } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'

/** One process with the bus in it. */
export type BusProcess = {
  bus: Bus
  errors: unknown[]
  /** Ends it as kill -9 would: its connections are cut, nothing is finished. */
  crash(): Promise<void>
  close(): Promise<void>
}

export type BusHarness = {
  /** Where consumers keep inbox and effects; has the runtime's schema. */
  database: Database
  publish(events: readonly NewEvent[]): Promise<void>
  start(): Promise<BusProcess>
  close(): Promise<void>
}

export function busContract(name: string, open: () => Promise<BusHarness>): void {
  describe(name, () => {
    let harness: BusHarness
    let one: BusProcess
    let round = 0
    let shop: string // a prefix of subjects, so that tests do not see each other's events

    beforeAll(async () => {
      harness = await open()
      await harness.database.transaction((session) =>
        session.script('create table effect (place serial, consumer text, subject text, version int)'),
      )
    })
    afterAll(() => harness.close())
    beforeEach(async () => {
      shop = `round${++round}`
      one = await harness.start()
      return () => one.close()
    })

    const write = (session: Session, consumer: string, events: readonly LogEvent[]) =>
      session.run(
        'insert into effect (consumer, subject, version) select $1, s, v from unnest($2::text[], $3::int[]) with ordinality as e (s, v, n) order by n',
        [consumer, textArray(events.map((event) => event.subject)), `{${events.map((event) => event.subjectVersion)}}`],
      )
    const mine = (events: readonly LogEvent[]) => events.filter((event) => event.subject.startsWith(`${shop}/`))
    const consumer = (types = '', apply?: Consumer['apply']): Consumer => ({
      name: `consumer ${shop} ${types}`,
      types: parseTypes(types) as TypeFilter,
      apply: apply ?? (async (session, events) => void (await write(session, shop, mine(events)))),
    })
    const effects = async (): Promise<string[]> => {
      const rows = await harness.database.query<{ what: string }>(
        `select subject || ':' || version as what from effect where consumer = $1 order by place`,
        [shop],
      )
      return rows.map((row) => row.what)
    }
    const applied = (count: number) => eventually(async () => (await effects()).length >= count, 10_000)
    const expected = (subject: string, count: number) =>
      Array.from({ length: count }, (_, at) => `${subject}:${at + 1}`)

    async function expectOnceInOrder(subjects: Record<string, number>): Promise<void> {
      await applied(Object.values(subjects).reduce((sum, count) => sum + count, 0))
      const all = await effects()
      for (const [subject, count] of Object.entries(subjects)) {
        expect(all.filter((what) => what.startsWith(`${subject}:`))).toEqual(expected(subject, count))
      }
      expect(all).toHaveLength(Object.values(subjects).reduce((sum, count) => sum + count, 0))
    }

    test('events published before and while a consumer runs are applied once, in order within their subject', async () => {
      await harness.publish(history(`${shop}/a`, 700))
      one.bus.consume(consumer())
      await harness.publish(history(`${shop}/b`, 700))
      await expectOnceInOrder({ [`${shop}/a`]: 700, [`${shop}/b`]: 700 })
    })

    test('a consumer hears only of the types it wants', async () => {
      one.bus.consume(consumer('order.*'))
      await harness.publish(history(`${shop}/stock`, 3, { type: 'stock.adjusted' }))
      await harness.publish(history(`${shop}/order`, 3, { type: 'order.placed' }))
      await harness.publish(
        [...history(`${shop}/mixed`, 4)].map((event, at) => ({
          ...event,
          type: at % 2 ? 'order.placed' : 'hold.created',
        })),
      )
      await applied(5)
      expect(await effects()).toEqual([...expected(`${shop}/order`, 3), `${shop}/mixed:2`, `${shop}/mixed:4`])
    })

    test('a stopped consumer goes on where it stopped, in another process too', async () => {
      const first = one.bus.consume(consumer())
      await harness.publish(history(`${shop}/a`, 10))
      await applied(10)
      await first.stop()
      await harness.publish(history(`${shop}/b`, 10))
      const other = await harness.start()
      other.bus.consume(consumer())
      await expectOnceInOrder({ [`${shop}/a`]: 10, [`${shop}/b`]: 10 })
      await other.close()
    })

    test('nothing is applied after stop has resolved', async () => {
      const consumption = one.bus.consume(consumer())
      await harness.publish(history(`${shop}/a`, 5))
      await applied(5)
      await consumption.stop()
      await harness.publish(history(`${shop}/b`, 5))
      const other = one.bus.consume({ ...consumer(), name: `witness ${shop}` }) // sees them, so they were there to see
      await applied(15)
      await other.stop()
      expect((await effects()).filter((what) => what.startsWith(`${shop}/b`))).toHaveLength(5)
    })

    test('an effect that fails half-way leaves nothing behind and is applied once later', async () => {
      let attempts = 0
      const apply: Consumer['apply'] = async (session, events) => {
        await write(session, shop, mine(events))
        if (mine(events).length > 0 && ++attempts <= 2) throw new Error('fell over after the write')
      }
      one.bus.consume(consumer('', apply))
      await harness.publish(history(`${shop}/a`, 20))
      await expectOnceInOrder({ [`${shop}/a`]: 20 })
      expect(one.errors).toHaveLength(2)
    })

    test('a consumer is told of what was applied once it is committed, and of nothing that was not', async () => {
      const told: string[] = []
      let attempts = 0
      one.bus.consume({
        ...consumer('', async (session, events) => {
          await write(session, shop, mine(events))
          if (mine(events).length > 0 && ++attempts === 1) throw new Error('fell over after the write')
        }),
        applied: (events) => void told.push(...mine(events).map((event) => `${event.subject}:${event.subjectVersion}`)),
      })
      await harness.publish(history(`${shop}/a`, 20))
      await expectOnceInOrder({ [`${shop}/a`]: 20 })
      await eventually(() => told.length >= 20)
      expect(told).toEqual(expected(`${shop}/a`, 20))
    })

    test('an event that cannot be applied holds up what follows it and nothing else', async () => {
      let cured = false
      const apply: Consumer['apply'] = async (session, events) => {
        if (!cured && events.some((event) => event.subject === `${shop}/a` && event.subjectVersion === 8))
          throw new Error('poison')
        await write(session, shop, mine(events))
      }
      one.bus.consume(consumer('', apply))
      await harness.publish(history(`${shop}/a`, 20))
      await applied(7)
      await eventually(() => one.errors.length >= 3)
      expect(await effects()).toEqual(expected(`${shop}/a`, 7))
      cured = true
      await expectOnceInOrder({ [`${shop}/a`]: 20 })
    })

    test('two processes that run one consumer apply each event once', async () => {
      const other = await harness.start()
      one.bus.consume(consumer())
      other.bus.consume(consumer())
      for (let batch = 0; batch < 20; batch++) await harness.publish(history(`${shop}/${batch}`, 15))
      await expectOnceInOrder(Object.fromEntries(Array.from({ length: 20 }, (_, batch) => [`${shop}/${batch}`, 15])))
      await other.close()
    })

    test('a process that dies between effect and commit leaves the event to another', async () => {
      const wrote = Promise.withResolvers<void>()
      const apply: Consumer['apply'] = async (session, events) => {
        await write(session, shop, mine(events))
        if (mine(events).length === 0) return
        wrote.resolve()
        await session.run('select pg_sleep(30)')
      }
      const dying = await harness.start()
      dying.bus.consume(consumer('', apply))
      await harness.publish(history(`${shop}/a`, 9))
      await wrote.promise
      await dying.crash()
      expect(await effects()).toEqual([])
      one.bus.consume(consumer())
      await expectOnceInOrder({ [`${shop}/a`]: 9 })
    })

    test('two consumers do not know of each other', async () => {
      one.bus.consume(consumer())
      one.bus.consume({ ...consumer(), name: `another ${shop}` })
      await harness.publish(history(`${shop}/a`, 4))
      await applied(8)
      expect((await effects()).sort()).toEqual([...expected(`${shop}/a`, 4), ...expected(`${shop}/a`, 4)].sort())
    })
  })
}
