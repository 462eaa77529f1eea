// What every bus promises. An implementation's test calls `busContract` with a way to run it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import type { Bus, Consumer } from '../../src/runtime/bus.ts'
import type { LogEvent } from '../../src/runtime/event-log.ts'
import { parseTypes, type TypeFilter } from '../../src/runtime/event-types.ts'
import type { NewEvent } from '../../src/runtime/outbox.ts'
import { PeerRefused, PeerUnreachable } from '../../src/runtime/peer-requests.ts'
import type { Database } from '../../src/runtime/pg.ts'
import type { Session } from '../../src/runtime/pg-session.ts'
import { textArray } from '../../src/runtime/pg-values.ts'
import { history } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'

/** What stands aside of a consumer, in the order of its subjects: `subject:version`, and how often each was tried. */
export type DeadNow = { id: string; what: string; tries: number; reason: string }

/** What an operator does, apart from any process. */
export type ByHand = {
  dead(consumer: string): Promise<DeadNow[]>
  retry(id: string): Promise<void>
  /** Answers the code of a refusal. */
  drop(id: string): Promise<string | undefined>
  pause(consumer: string): Promise<void>
  resume(consumer: string): Promise<void>
  rewindToStart(consumer: string): Promise<void>
}

/** How often a process tries an event before it stands aside. */
export const triesMax = 3

/** One process with the bus in it; gives an event up after `triesMax`. */
export type BusProcess = {
  bus: Bus
  errors: unknown[]
  /** How many events it told to have passed over, since that consumer had applied them. */
  repeated(consumer: string): number
  /** Ends it as kill -9 would: its connections are cut, nothing is finished. */
  crash(): Promise<void>
  close(): Promise<void>
}

export type BusHarness = {
  /** Where consumers keep inbox and effects; has the runtime's schema. */
  database: Database
  publish(events: readonly NewEvent[]): Promise<void>
  start(): Promise<BusProcess>
  byHand: ByHand
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
        if (mine(events).length > 0 && ++attempts < triesMax) throw new Error('fell over after the write')
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
        ...consumer('told.*', async (session, events) => {
          await write(session, shop, mine(events))
          if (mine(events).length > 0 && ++attempts === 1) throw new Error('fell over after the write')
        }),
        applied: (events) => void told.push(...mine(events).map((event) => `${event.subject}:${event.subjectVersion}`)),
      })
      await harness.publish(history(`${shop}/a`, 20, { type: 'told.once' }))
      await expectOnceInOrder({ [`${shop}/a`]: 20 })
      await eventually(() => told.length >= 20)
      expect(told).toEqual(expected(`${shop}/a`, 20))
    })

    /** Cannot apply what is on its list. */
    const poisonedBy =
      (poison: Set<string>): Consumer['apply'] =>
      async (session, events) => {
        for (const event of events) {
          if (poison.has(`${event.subject}:${event.subjectVersion}`)) throw new Error(`poison ${event.subjectVersion}`)
        }
        await write(session, shop, mine(events))
      }
    const dead = async () => (await harness.byHand.dead(consumer().name)).map(({ what }) => what)

    test('an event that cannot be applied stands aside after its tries, with what follows in its subject; others go on', async () => {
      one.bus.consume(consumer('', poisonedBy(new Set([`${shop}/a:8`]))))
      await harness.publish([...history(`${shop}/a`, 10), ...history(`${shop}/b`, 10)])
      await applied(17)
      await harness.publish(history(`${shop}/a`, 12).slice(10))
      await harness.publish(history(`${shop}/c`, 3))
      await applied(20)
      expect(await effects()).toEqual([
        ...expected(`${shop}/a`, 7),
        ...expected(`${shop}/b`, 10),
        ...expected(`${shop}/c`, 3),
      ])
      const aside = await harness.byHand.dead(consumer().name)
      expect(aside.map(({ what, tries }) => `${what} ${tries}`)).toEqual([
        `${shop}/a:8 ${triesMax}`,
        ...[9, 10, 11, 12].map((version) => `${shop}/a:${version} 0`),
      ])
      expect(aside[0]!.reason).toContain('poison 8')
      expect(aside[1]!.reason).toContain('behind version 8')
    })

    test('a retry applies what stands aside in order, up to what still fails, and then what comes', async () => {
      const poison = new Set([`${shop}/a:3`, `${shop}/a:5`])
      one.bus.consume(consumer('', poisonedBy(poison)))
      await harness.publish(history(`${shop}/a`, 6))
      await eventually(async () => (await dead()).length === 4, 10_000)
      const [first, second] = await harness.byHand.dead(consumer().name)
      poison.delete(`${shop}/a:3`)
      await harness.byHand.retry(second!.id) // of any of them
      await eventually(async () => (await dead()).length === 2, 10_000)
      expect(await effects()).toEqual(expected(`${shop}/a`, 4))
      const failed = () => harness.byHand.dead(consumer().name)
      await eventually(async () => (await failed())[0]!.tries === 1, 10_000)
      expect((await failed())[0]).toMatchObject({ what: `${shop}/a:5`, reason: expect.stringContaining('poison 5') })
      expect(first!.id).not.toBe((await failed())[0]!.id)
      poison.clear()
      await harness.byHand.retry((await failed())[0]!.id)
      await harness.publish(history(`${shop}/a`, 8).slice(6))
      await expectOnceInOrder({ [`${shop}/a`]: 8 })
      expect(await dead()).toEqual([])
    })

    test('a dropped event counts as applied, those behind it are applied, and none behind another can be dropped', async () => {
      one.bus.consume(consumer('', poisonedBy(new Set([`${shop}/a:2`]))))
      await harness.publish(history(`${shop}/a`, 4))
      await eventually(async () => (await dead()).length === 3, 10_000)
      const [first, second] = await harness.byHand.dead(consumer().name)
      expect(await harness.byHand.drop(second!.id)).toBe('dead_letter_blocked')
      expect(await harness.byHand.drop(first!.id)).toBeUndefined()
      await applied(3)
      await harness.publish(history(`${shop}/a`, 5).slice(4))
      await applied(4)
      expect(await effects()).toEqual([1, 3, 4, 5].map((version) => `${shop}/a:${version}`))
      expect(await harness.byHand.drop(first!.id)).toBe('not_found')
      await harness.byHand.rewindToStart(consumer().name)
      await harness.publish(history(`${shop}/b`, 1))
      await applied(5)
      expect(await dead()).toEqual([])
      expect(await effects()).toHaveLength(5)
    })

    test('a consumer of some types leaves aside and retries what is of those types alone', async () => {
      const poison = new Set([`${shop}/a:2`])
      one.bus.consume(consumer('order.*', poisonedBy(poison)))
      const mixed = history(`${shop}/a`, 6).map((event, at) => ({
        ...event,
        type: at % 2 ? 'order.placed' : 'hold.made',
      }))
      await harness.publish(mixed)
      const name = consumer('order.*').name
      const aside = async () => (await harness.byHand.dead(name)).map(({ what }) => what)
      await eventually(async () => (await aside()).length === 3, 10_000)
      expect(await aside()).toEqual([2, 4, 6].map((version) => `${shop}/a:${version}`))
      poison.clear()
      await harness.byHand.retry((await harness.byHand.dead(name))[0]!.id)
      await applied(3)
      expect(one.repeated(name)).toBe(0)
      await harness.byHand.rewindToStart(name)
      await harness.publish(history(`${shop}/b`, 1, { type: 'order.placed' }))
      await applied(4)
      await eventually(() => one.repeated(name) >= 3, 10_000)
      expect(await effects()).toEqual([...[2, 4, 6].map((version) => `${shop}/a:${version}`), `${shop}/b:1`])
    })

    test('where each event stands for itself, one that stands aside holds up nothing of its subject, and is tried again by itself', async () => {
      const poison = new Set([2, 4].map((version) => `${shop}/a:${version}`))
      const isPoison = (event: LogEvent) => poison.has(`${event.subject}:${event.subjectVersion}`)
      const each: Consumer = {
        ...{ ...consumer(), isRepeatable: true, retryAsideMs: 100 },
        async ready(events) {
          if (events.some((event) => event.subjectVersion === 4 && isPoison(event)))
            throw new PeerRefused('us1' as CellName, 503, 'cell_frozen') // which may last
          if (events.some(isPoison)) throw new Error('not yet')
        },
      }
      one.bus.consume(each)
      await harness.publish(history(`${shop}/a`, 6))
      await applied(4)
      await eventually(async () => (await dead()).length === 2, 10_000)
      expect(await effects()).toEqual([1, 3, 5, 6].map((version) => `${shop}/a:${version}`))
      poison.delete(`${shop}/a:4`)
      await applied(5)
      expect((await effects()).at(-1)).toBe(`${shop}/a:4`)
      expect(await dead()).toEqual([`${shop}/a:2`])
      await harness.byHand.rewindToStart(consumer().name)
      await harness.publish(history(`${shop}/b`, 1))
      await eventually(async () => (await effects()).includes(`${shop}/b:1`), 10_000)
      expect(await dead()).toEqual([`${shop}/a:2`])
      const before = (await effects()).length
      poison.clear()
      await applied(before + 1)
      expect(await dead()).toEqual([])
    })

    test('a peer that is out of reach is no fault of an event, and what it refuses for good is', async () => {
      const us1 = 'us1' as CellName
      const failures: Error[] = [
        ...Array.from({ length: triesMax + 1 }, () => new PeerUnreachable(us1, 'is down', {})),
        ...Array.from({ length: triesMax + 1 }, () => new PeerRefused(us1, 503, 'overloaded')),
      ]
      one.bus.consume({
        ...consumer('asks.*'),
        async ready(events) {
          const failure = mine(events).length > 0 && failures.shift()
          if (failure) throw failure
        },
      })
      await harness.publish(history(`${shop}/a`, 1, { type: 'asks.peer' }))
      await applied(1)
      expect(await harness.byHand.dead(consumer('asks.*').name)).toEqual([])
      failures.push(...Array.from({ length: triesMax }, () => new PeerRefused(us1, 404, 'not_found')))
      await harness.publish([
        ...history(`${shop}/b`, 1, { type: 'asks.peer' }),
        ...history(`${shop}/c`, 1, { type: 'told.peer' }),
      ])
      await eventually(async () => (await harness.byHand.dead(consumer('asks.*').name)).length === 1, 10_000)
    })

    test('a database that is away for a while is no fault of an event', async () => {
      const dying = await harness.start()
      dying.bus.consume(consumer())
      await harness.publish(history(`${shop}/a`, 5))
      await applied(5)
      await dying.crash()
      expect(await dead()).toEqual([])
    })

    test('a paused consumer applies nothing in any process, and goes on when it is resumed', async () => {
      const other = await harness.start()
      one.bus.consume(consumer())
      other.bus.consume(consumer())
      await harness.publish(history(`${shop}/a`, 5))
      await applied(5)
      await harness.byHand.pause(consumer().name)
      await harness.publish(history(`${shop}/a`, 9).slice(5))
      one.bus.consume({ ...consumer(), name: `witness ${shop}` }) // sees them all, so they were there to see
      await applied(14)
      expect(await effects()).toHaveLength(14)
      await harness.byHand.resume(consumer().name)
      await applied(18)
      expect(await effects()).toHaveLength(18)
      await other.close()
    })

    test('a consumer that is rewound to the start again and again under load applies everything once', async () => {
      const other = await harness.start()
      one.bus.consume(consumer())
      other.bus.consume(consumer())
      for (let batch = 0; batch < 20; batch++) {
        await harness.publish(history(`${shop}/${batch}`, 15))
        if (batch === 0) await applied(1)
        if (batch % 4 === 1) await harness.byHand.rewindToStart(consumer().name)
      }
      await harness.byHand.rewindToStart(consumer().name)
      await harness.publish(history(`${shop}/last`, 1))
      const subjects = Array.from({ length: 20 }, (_, batch) => [`${shop}/${batch}`, 15])
      await expectOnceInOrder(Object.fromEntries([...subjects, [`${shop}/last`, 1]]))
      await other.close()
    })

    test('a rewound consumer leaves aside what stands aside', async () => {
      one.bus.consume(consumer('', poisonedBy(new Set([`${shop}/a:3`]))))
      await harness.publish(history(`${shop}/a`, 5))
      await eventually(async () => (await dead()).length === 3, 10_000)
      await harness.byHand.rewindToStart(consumer().name)
      await harness.publish(history(`${shop}/b`, 2))
      await applied(4)
      expect(await dead()).toEqual([3, 4, 5].map((version) => `${shop}/a:${version}`))
      expect(await effects()).toEqual([...expected(`${shop}/a`, 2), ...expected(`${shop}/b`, 2)])
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
