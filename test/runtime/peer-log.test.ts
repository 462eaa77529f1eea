// A peer's event log read from here: when the peer is away, lives anew, has forgotten, or says a lot.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { postgresBus } from '../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import type { LogEvent } from '../../src/runtime/event-log.ts'
import { parseTypes, type TypeFilter } from '../../src/runtime/event-types.ts'
import { declareRestored } from '../../src/runtime/incarnation.ts'
import type { LogReader } from '../../src/runtime/logreader.ts'
import { dropEventPartitions, ensureEventPartitions } from '../../src/runtime/partitions.ts'
import { createLogHandler, peerLogReader } from '../../src/runtime/peer-log.ts'
import { answerJson, questionJson, readAnswer, readQuestion } from '../../src/runtime/peer-log-wire.ts'
import { anEvent, append, createEventLog, type EventLog, history, readerOf } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { openPeerCells, type PeerCell } from '../support/peer-cells.ts'

const us1 = 'us1' as CellName
const sizes = { seqs: 10, ahead: 1 }

let own: EventLog
let peer: EventLog
let reader: LogReader
let cells: [PeerCell, PeerCell]
let applied: string[]
let errors: unknown[]
let troubles: string[]
let expired: object[]
const stops: (() => Promise<void>)[] = []

beforeEach(async () => {
  ;[own, peer] = await Promise.all([createEventLog(), createEventLog(sizes)])
  reader = await readerOf(peer)
  ;[applied, errors, troubles, expired] = [[], [], [], []]
  const handlers = () => ({
    log: (...args: Parameters<ReturnType<typeof createLogHandler>>) => createLogHandler(reader)(...args),
  })
  cells = (await openPeerCells({ names: ['eu1', us1], handlers })) as [PeerCell, PeerCell]
})
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
  await Promise.all(cells.map((cell) => cell.stop()))
  await reader.stop()
  await Promise.all([own.database.close(), peer.database.close()])
})

/** Runs until it is stopped, or the test ends. */
function consume(types = '') {
  const log = peerLogReader({
    peer: us1,
    peers: cells[0].peers,
    clock: systemClock,
    onError: (error) => void troubles.push((error as Error).name),
    onExpired: (lost) => void expired.push(lost),
  })
  const onError = (_: string, error: unknown) => void errors.push(error)
  const bus = postgresBus({ database: own.database, reader: log, clock: systemClock, onError })
  const told = (events: readonly LogEvent[]) =>
    events.map((one) => `${one.shopId} ${one.subject}:${one.subjectVersion}`)
  bus.consume({
    name: 'of us1',
    types: parseTypes(types) as TypeFilter,
    apply: async () => {},
    applied: (events) => void applied.push(...told(events)),
  })
  stops.push(() => bus.close())
  return { log, stop: () => bus.close() }
}

const publish = (events: Parameters<typeof append>[1]) =>
  peer.database.transaction((session) => append(session, events).then(() => undefined))
const versions = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => `1 order/1:${from + at}`)
const until = (count: number) => eventually(() => applied.length >= count, 10_000)

/** As a process that starts on this database would read it. */
async function serve(log: EventLog): Promise<void> {
  const before = reader
  reader = await readerOf(log)
  await before.stop()
}

describe('a peer’s log', () => {
  it('brings the events of all shops, just as they are', async () => {
    await publish([anEvent({ shopId: 7, data: { text: 'ü "\\ \n', n: 1.5 } })])
    const { log } = consume()
    await until(1)
    expect(applied).toEqual(['7 order/1:1'])
    const [sent] = await peer.database.query<LogEvent>(
      'select event_id as "eventId", data::text as data from runtime.events',
    )
    const page = await log.read(0, {}, 10)
    expect(page).toMatchObject({ events: [{ ...sent, type: 'order.placed', at: anEvent().at }] })
    expect(log.standing).toMatchObject({ horizon: 1 })
  })

  it('is waited for while the peer is away, which is told once', async () => {
    await cells[1].gap.set('closed')
    consume()
    await publish(history('order/1', 3))
    await eventually(() => !cells[0].peers.isUp(us1))
    expect(applied).toEqual([])
    await cells[1].gap.set('open')
    await until(3)
    await cells[1].gap.set('closed')
    await publish(history('order/1', 5).slice(3))
    await eventually(() => troubles.length === 2)
    await cells[1].gap.set('open')
    await until(5)
    expect(applied).toEqual(versions(1, 5))
    expect({ errors, troubles }).toEqual({ errors: [], troubles: ['PeerUnreachable', 'PeerUnreachable'] })
  })

  it('that goes on after a restore from an older backup is read again from where the ways parted', async () => {
    await publish(history('order/1', 8))
    consume()
    await until(8)
    await peer.database.transaction(async (session) => {
      await session.run('delete from runtime.events where seq > 5')
      await session.run(`select setval('runtime.event_seq', 5)`)
    })
    const lives = await declareRestored(peer.database)
    await publish([anEvent({ subjectVersion: 6, type: 'order.cancelled' }), anEvent({ subject: 'order/2' })])
    await serve({ ...peer, lives })
    await until(10)
    expect(applied).toEqual([...versions(1, 8), '1 order/1:6', '1 order/2:1'])
    await publish([anEvent({ subjectVersion: 7 })])
    await until(11)
    expect(errors).toEqual([])
  })

  it('of another database under the same name is read from its beginning', async () => {
    await publish(history('order/1', 4))
    const { stop } = consume()
    await until(4)
    await stop()
    const other = await createEventLog()
    await other.database.transaction((session) => append(session, history('order/9', 2)))
    await serve(other)
    consume()
    await until(6)
    expect(applied).toEqual([...versions(1, 4), '1 order/9:1', '1 order/9:2'])
    expect(errors).toEqual([])
    await serve(peer)
    await other.database.close()
  })

  it('whose next events were dropped goes on at the oldest kept, and says so', async () => {
    await publish(history('order/1', 4))
    const { stop } = consume()
    await until(4)
    await stop()
    for (const [from, to] of [
      [4, 12],
      [12, 25],
    ] as const) {
      await publish(history('order/1', to).slice(from))
      await ensureEventPartitions(peer.database, sizes)
    }
    await dropEventPartitions(peer.database, async () => true)
    consume()
    await until(4 + 5)
    expect(applied).toEqual([...versions(1, 4), ...versions(21, 25)])
    expect(expired).toEqual([{ after: 4, oldest: 20 }])
    expect(errors).toEqual([])
  })

  it('is never held back by a consumer of a peer’s events, whose positions are the peer’s', async () => {
    await publish(history('order/1', 3))
    consume()
    await until(3)
    const mine = await createEventLog(sizes)
    await mine.database.transaction((session) => append(session, history('order/1', 9)))
    await ensureEventPartitions(mine.database, sizes)
    await mine.database.transaction((session) => append(session, history('order/1', 12).slice(9)))
    const [position] = await own.database.query<{ incarnation: string; seq: number }>('select * from runtime.consumers')
    await mine.database.transaction((session) =>
      session.run(`insert into runtime.consumers (name, incarnation, seq) values ('of us1', $1, $2)`, [
        position!.incarnation,
        position!.seq,
      ]),
    )
    expect(await dropEventPartitions(mine.database, async () => true)).toEqual(['events_1'])
    await mine.database.close()
  })

  it('that is full of large events comes in pages that a connection bears', async () => {
    const text = 'x'.repeat(limits.peerLogPageBytesMax / 2)
    await publish(history('order/1', 7, { data: { text } }))
    consume()
    await until(7)
    expect(applied).toEqual(versions(1, 7))
  })

  it('moves on past what is not wanted, without asking for each of it', async () => {
    await publish(history('order/1', 9, { type: 'stock.adjusted' }))
    const { log } = consume('order.*')
    await publish([anEvent({ subject: 'order/2' })])
    await until(1)
    expect(applied).toEqual(['1 order/2:1'])
    expect(await log.read(0, { types: parseTypes('order.*') as TypeFilter }, 10)).toMatchObject({ seq: 10 })
  })
})

describe('what travels', () => {
  it('is read as it was written', () => {
    const question = { after: 'abc', types: parseTypes('order.*,stock.adjusted') as TypeFilter, waitMs: 5, limit: 7 }
    expect(readQuestion(questionJson(question))).toEqual(question)
    expect(readQuestion(questionJson({ ...question, after: null, types: undefined }))).toMatchObject({ after: null })
  })

  it('is refused when it is something else', () => {
    for (const wrong of [
      null,
      1,
      [],
      {},
      { after: 1 },
      { types: '*', wait_ms: 1, limit: 501 },
      { types: '!', wait_ms: 0, limit: 1 },
    ])
      expect(readQuestion(wrong as never)).toBeUndefined()
    const good = answerJson({
      events: [],
      nextPosition: '',
      horizonPosition: '',
      lives: [{ incarnation: 'a' as never, beganAfterSeq: 0 }],
    })
    expect(readAnswer(good)).toBeDefined()
    for (const wrong of [null, {}, { ...(good as object), events: [{}] }, { ...(good as object), lives: [] }])
      expect(readAnswer(wrong as never)).toBeUndefined()
  })
})
