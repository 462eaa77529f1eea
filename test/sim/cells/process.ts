// One process of a cell: the engine behind its queue and its gate, the allotments, the gathering, the meeting of orders and the
// comparing of totals, all of them the real ones. It dies and another takes its place; what carries its messages is simulated.
import { type CellName, type ShopId, type Uuid, uuidV7 } from '../../../src/base/ids.ts'
import type { Json } from '../../../src/base/json.ts'
import { limits } from '../../../src/base/limits.ts'
import type { Prng } from '../../../src/base/prng.ts'
import { addMs, type Instant } from '../../../src/base/time.ts'
import type { Topology } from '../../../src/base/topology.ts'
import type { Pause } from '../../../src/modules/orders/engine-memory.ts'
import type { LoggedEvent, MemoryDatabase } from '../../../src/modules/orders/memory-database.ts'
import type { Standing as OrderStanding } from '../../../src/modules/orders/money.ts'
import type { Command, CommandOutcome, IdempotencyKey, Submission, Value } from '../../../src/modules/orders/types.ts'
import type { CellShare } from '../../../src/modules/stock/types.ts'
import type { Clock } from '../../../src/runtime/clock.ts'
import type { LogEvent } from '../../../src/runtime/event-log.ts'
import type { Gate } from '../../../src/runtime/gate.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import type { Session } from '../../../src/runtime/pg-session.ts'
import type { Standing } from '../../../src/runtime/standing.ts'
import { placingOf } from './adjusting.ts'
import type { Change, Durable } from './durable.ts'
import { type CellRequest, type CellsWorld, type Process, type Reply, shopId } from './node.ts'
import { type Part, type Place, partOf, withParts } from './parts.ts'
import { createSimPeers, OutOfReach, type SimPeers } from './peers.ts'
import { memorySql } from './sql.ts'

/** What a process stands on. */
export type Ground = {
  world: CellsWorld
  name: CellName
  durable: Durable
  /** A change of what survives, other than by the engine. */
  write(change: Change): void
  /** How far it has written, and how far its standby has; null while that is not heard. */
  written(): { lsn: number; standby: number | null }
  isGeo: boolean
  /** Orders whose key names this cell go to others while it does not. */
  takesNew(): boolean
  /** Resolves when the log goes beyond. */
  beyond(seq: number): Promise<void>
  random: Prng
  clock: Clock
  whileUp<T>(value: T): Promise<T>
  isUp(): boolean
  isNotNow(error: unknown): boolean
}

type ServerLife = Session['life']
const serverLife: ServerLife = 'server'

/** The fields of all messages; which are there depends on its kind. */
type Message = { request: CellRequest; hops: number; life: Uuid; seq: number; shop: ShopId; id: Uuid; other: Uuid }

export function startProcess(
  given: Omit<Ground, 'whileUp' | 'isUp' | 'isNotNow' | 'clock'>,
  now: () => Instant,
): Process {
  const { system, scheduler } = given.world
  const up = { isUp: true }
  const whileUp = <T>(value: T): Promise<T> => (up.isUp ? Promise.resolve(value) : new Promise<never>(() => {}))
  const sleep: Clock['sleep'] = (ms, signal) =>
    new Promise<void>((resolve) => {
      if (signal?.aborted) return resolve()
      const done = (): void => {
        forget()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const forget = scheduler.after(ms, done)
      signal?.addEventListener('abort', done)
    }).then(whileUp)
  const ground: Ground = {
    ...given,
    whileUp,
    clock: { now, elapsedMs: scheduler.now, sleep },
    isUp: () => up.isUp,
    isNotNow: (error) =>
      error instanceof system.Overloaded || error instanceof system.DatabaseUnavailable || error instanceof OutOfReach,
  }
  const { close, ...parts } = startParts(ground)
  return Object.assign(up, parts, {
    kill(): void {
      up.isUp = false
      close()
    },
  })
}

function startParts(ground: Ground) {
  const { world, name, durable, clock, isUp, whileUp, isNotNow } = ground
  const { system } = world
  const { tables } = durable.database
  const onError = (error: unknown): void => void (isNotNow(error) || world.failed(error))
  const standing = standingOf(ground)
  const session = { life: serverLife, run: answersOf(ground), close: async () => {} } as unknown as Session
  const sql = {
    query: memorySql(() => tables),
    openSession: async () => session,
    transaction: <T>(work: (session: Session) => Promise<T>) => work(session),
  } as unknown as Database
  const gate: Gate = ground.isGeo ? system.startGate({ database: sql, clock, onError }) : system.openGate
  const told = system.toldDatabase(system.gatedDatabase(sql, gate), gate)
  const asTold = async <T>(value: T): Promise<T> => {
    if (ground.isGeo) await gate.pass(serverLife)
    return whileUp(value)
  }
  const store = system.createMemoryStore(durable.database, pauses(ground))
  let sessions: ReturnType<typeof storeWithSessions>
  const batches = system.startBatches({
    ...{ cell: name, database: sql, clock, gate, standing, isIsolated: () => false, config: { lanes: 1 } },
    startedAt: tables.events.at(-1)?.at ?? clock.now(),
    createStore: (openLane) => {
      sessions = storeWithSessions(store, openLane, system.DatabaseUnavailable)
      return sessions
    },
    afterArrivals: (work) => world.scheduler.after(0, () => isUp() && work()),
    onRows: (rows) => isUp() && allotments.saw(rows),
    onCommitted() {},
  })
  const submissionOf = (command: Command, key: IdempotencyKey | null = null): Submission => ({
    ...{ command, key },
    deadline: addMs(clock.now(), limits.commandDeadlineMs),
  })
  const submit = (command: Command): Promise<CommandOutcome> => batches.submit(submissionOf(command)).then(whileUp)
  async function resultOf<K extends Value['kind']>(command: Command, kind: K): Promise<Extract<Value, { kind: K }>> {
    const outcome = await submit(command)
    if (!outcome.ok || outcome.value.kind !== kind) throw new Error(`${command.kind}: ${JSON.stringify(outcome)}`)
    return outcome.value as Extract<Value, { kind: K }>
  }
  const engine: Engine = {
    send: async (command) => (await resultOf(command, 'sent')).sent,
    receive: async (command) => (await resultOf(command, 'received')).received,
    remember: async (command) => (await resultOf(command, 'remembered')).remembered,
    supersede: async (command) => (await resultOf(command, 'order')).order,
    async rememberKey(command, key) {
      await batches.submit(submissionOf(command, key)).then(whileUp)
    },
  }
  const peers = createSimPeers(ground)
  const allotments = system.createAllotments({
    ...{ cell: name, peers, clock, onError, send: engine.send, demand: system.trackDemand(clock.elapsedMs) },
    receive: async (command) => (await engine.receive(command)).units,
  })
  const comparing = system.createComparing({ database: sql, told, peers, ...engine })
  const meeting = meetingOf(ground, peers, engine)
  const gathering = system.withGathering(batches, allotments, clock.now)
  const placing = placingOf(ground, peers, engine)
  const handle = handlerOf(ground, { peers, placing }, (command, key) =>
    gathering(submissionOf(command, key)).then(whileUp),
  )
  const log = { info() {} }
  const { sharesOf } = allotments
  // They read it in this cell's log.
  const handing = { cell: name, database: sql, peers, sharesOf, deliver: async () => {}, handOver: engine.send }
  startChores(ground, {
    sweep: () => submit({ kind: 'expire_due', limit: limits.sweepBatchMax }).catch(onError),
    askForOwed: async () => void (standing.frozen || allotments.askForOwed()),
    compare: system.createComparisons({ comparing, peers, standing, log, onError }),
    handOver: () => system.handOverUnits(handing).catch(onError),
    greet: (peer) => peers.call(peer, 'greet', {}, { deadlineMs: 1_000 }),
    peers,
  })
  for (const rows of Map.groupBy(tables.rows.values(), ({ sku }) => sku).values()) allotments.saw(rows)
  world.whenKnown(name, (peer) => void follow(ground, peer, { peers, engine, standing, meeting }))

  const topology = {
    current: () =>
      ({ cells: [...peers.others(), name].map((one) => ({ name: one, state: peers.stateOf(one) })) }) as Topology,
  }
  /** A cut off transaction is one too, as long as the server has it. */
  async function betweenBatches(work: (session: Session) => Promise<unknown>): Promise<void> {
    while (sessions.running() > 0 || durable.database.writers.size > 0) await clock.sleep(0.1)
    const run = async (_: string, [peer]: readonly unknown[]) =>
      ground.write(({ database }) => database.tables.leaving.add(peer as CellName))
    await work({ run } as unknown as Session)
    await asTold(undefined)
  }
  const transferSums = system.transferSumsHandler({ told, topology, betweenBatches })

  async function message(from: CellName, kind: string, body: Json): Promise<Json> {
    const of = body as unknown as Message
    switch (kind) {
      case 'ask':
        return allotments.answerAsk(from, body)
      case 'totals':
        return comparing.answerTotals(from, body)
      case 'transfer-sums':
        return transferSums(from, body)
      case 'forward':
        return (await handle(of.request, of.hops)) as unknown as Json
      case 'duplicate':
        return system.settlePair(meeting, { shopId: of.shop, own: of.id, from, id: of.other })
      case 'leave-keys':
        return asTold(await placing.answer(from, body))
      case 'standing':
        return asTold(system.standingOf(tables.orders.get(of.id)))
      case 'part':
        return asTold(partOf(durable.database, body as Place))
      case 'greet':
        return {}
      default:
        return asTold((await readLog(ground, of)) as unknown as Json)
    }
  }

  return {
    handle,
    message,
    async carryOut(command: Command) {
      if (!isUp()) return false
      return submit(command).then(
        () => true,
        (error) => {
          onError(error)
          return false
        },
      )
    },
    unsettled: (whatIsLeft: () => Promise<string | null>) =>
      system.unsettledWith({ database: sql, peers, whatIsLeft }).then(whileUp),
    close: store.close,
  }
}

type Engine = {
  send(command: Command & { kind: 'send_units' | 'hand_over_units' }): Promise<Extract<Value, { kind: 'sent' }>['sent']>
  receive(command: Command & { kind: 'receive_units' }): Promise<Extract<Value, { kind: 'received' }>['received']>
  remember(command: Command & { kind: 'remember_sent' }): Promise<Extract<Value, { kind: 'remembered' }>['remembered']>
  supersede(command: Command & { kind: 'supersede_order' }): Promise<Extract<Value, { kind: 'order' }>['order']>
  rememberKey(command: Command, key: IdempotencyKey): Promise<void>
}

/** Each statement takes its time, and a session may be lost at it. */
function pauses({ world: { system, scheduler, plan }, clock, random }: Ground): Pause {
  return async (statement) => {
    await clock.sleep(0.05 + random.next() * 0.5)
    if (!random.chance(plan.sessionLost)) return undefined
    if (statement === 'commit') return { carriedOut: random.chance(0.4) ? null : scheduler.sleep(random.next() * 40) }
    throw new system.DatabaseUnavailable('CONNECTION_CLOSED', `lost at ${statement}`, statement === 'committed')
  }
}

type MemoryStore = ReturnType<typeof import('../../../src/modules/orders/engine-memory.ts').createMemoryStore>

/** A lane opens a session before its first transaction, and after it has lost one. */
function storeWithSessions(
  store: MemoryStore,
  openLane: (lane: number) => Promise<Session>,
  Lost: typeof import('../../../src/runtime/pg-failure.ts').DatabaseUnavailable,
) {
  const open = new Set<number>()
  let running = 0
  return {
    running: () => running,
    async transaction<T>(lane: number, work: Parameters<typeof store.transaction<T>>[1]): Promise<T> {
      if (!open.has(lane)) await openLane(lane)
      open.add(lane)
      running++
      try {
        return await store.transaction(lane, work)
      } catch (error) {
        if (error instanceof Lost) open.delete(lane)
        throw error
      } finally {
        running--
      }
    },
    close: async () => store.close(),
  }
}

const lsnText = (lsn: number): string => `0/${lsn.toString(16)}`

/** The gate's one statement. */
const answersOf =
  ({ written, clock, durable }: Ground) =>
  async (text: string, params?: readonly unknown[]): Promise<unknown[]> => {
    if (!text.includes('pg_current_wal_flush_lsn()'))
      return (await memorySql(() => durable.database.tables)(text, params as never)) as unknown[]
    await clock.sleep(0.2)
    const { lsn, standby } = written()
    return [{ flushed: lsnText(lsn), names: 'elsewhere', standbys: standby === null ? null : lsnText(standby) }]
  }

function standingOf({ durable, write, world, name, clock }: Ground): Standing {
  return {
    get frozen() {
      return durable.frozen
    },
    isWell: () => true,
    look: async () => {},
    promise: async () => true,
    async thawed(signal) {
      while (durable.frozen && !signal.aborted) await clock.sleep(limits.standingLookMs, signal)
    },
    async noteCompared(peer) {
      await clock.sleep(1)
      write((one) => {
        if (one.frozen) one.frozen = { ...one.frozen, compared: [...one.frozen.compared, peer] }
      })
    },
    foundSetBack: async () => world.failed(new Error(`${name} takes itself for set back, and was not`)),
    foundClaimed: async () => {},
    stop: async () => {},
  }
}

type Chores = {
  sweep(): Promise<unknown>
  askForOwed(): Promise<void>
  compare(): Promise<void>
  handOver(): Promise<unknown>
  greet(peer: CellName): Promise<unknown>
  peers: SimPeers
}

/** All that is done now and then, by one clock: an idle cell costs few steps. */
function startChores(
  { name, durable, clock }: Ground,
  { sweep, askForOwed, compare, handOver, greet, peers }: Chores,
): void {
  const alone = (work: () => Promise<unknown>): (() => void) => {
    let isBusy = false
    return () => {
      if (isBusy) return
      isBusy = true
      void work().finally(() => {
        isBusy = false
      })
    }
  }
  const [sweeping, asking, comparing, handing] = [sweep, askForOwed, compare, handOver].map(alone)
  const rounds = async (): Promise<void> => {
    for (let round = 1; ; round++) {
      await clock.sleep(limits.sweepEveryMs)
      if (isAnythingDue(durable.database, clock.now())) sweeping!() // a look that finds nothing changes nothing
      if (round % 4 === 0) asking!()
      if (round % 4 === 2) comparing!()
      if (round % 4 === 3 && !durable.frozen && !peers.isActive(name)) handing!()
      if (round % 2 === 0) for (const peer of peers.others()) if (peers.isMissed(peer)) void greet(peer).catch(() => {})
    }
  }
  void rounds()
}

function isAnythingDue({ tables: { orders, holds, timedOrders, activeHolds } }: MemoryDatabase, now: Instant): boolean {
  const isDue = ({ expiresAt }: { expiresAt: Instant | null }): boolean => expiresAt !== null && expiresAt <= now
  for (const id of activeHolds) if (isDue(holds.get(id)!)) return true
  for (const id of timedOrders) if (isDue(orders.get(id)!)) return true
  return false
}

type Meeting = ReturnType<typeof meetingOf>

function meetingOf({ name, durable, world }: Ground, { call }: SimPeers, { supersede, rememberKey }: Engine) {
  const { keys } = durable.database.tables
  return {
    cell: name,
    findKeys: async (wanted: readonly { shopId: ShopId; hash: string }[]) =>
      wanted.flatMap(({ shopId, hash }) => keys.get(`${shopId} ${hash}`) ?? []),
    async standing(of: CellName, { shopId: shop, id }: { shopId: ShopId; id: Uuid }) {
      return (await call(of, 'standing', { shop, id }, { deadlineMs: 3_000 })) as OrderStanding
    },
    supersede,
    rememberKey,
    async tellOther(of: CellName, { shopId: shop, id, other }: { shopId: ShopId; id: Uuid; other: Uuid }) {
      return (await call(of, 'duplicate', { shop, id, other }, { deadlineMs: 8_000 })) as boolean
    },
    onMismatch: () => world.failed(new Error('a key was used for two requests')),
  }
}

type LogPage = { life: Uuid; events: LogEvent[]; upTo: number }

/** A position in another life is none. */
async function readLog({ world, durable, clock, beyond }: Ground, { life, seq }: Message): Promise<LogPage> {
  const after = life === durable.life ? seq : 0
  await Promise.race([beyond(after), clock.sleep(4_000)])
  const upTo = await world.system.settledUpTo(durable.database, () => clock.sleep(0.1))
  const events = durable.database.tables.events.filter((event) => event.seq > after && event.seq <= upTo)
  return { life: durable.life, events: events.map(asLogEvent), upTo }
}

type Following = { peers: SimPeers; engine: Engine; standing: Standing; meeting: Meeting }

/** As another cell's log says: credited and met first, and only then is its position stored. Not while it is frozen. */
async function follow(ground: Ground, peer: CellName, { peers, engine, standing, meeting }: Following): Promise<void> {
  const { world, name, durable, write, clock, random, isNotNow } = ground
  const never = new AbortController().signal
  for (;;) {
    await clock.sleep(20 + random.next() * 50)
    await standing.thawed(never)
    const after = durable.positions.get(peer) ?? { life: '', seq: 0 }
    try {
      const page = (await peers.call(peer, 'log', after, { deadlineMs: 3_000 })) as unknown as LogPage
      if (durable.frozen) continue
      for (const command of world.system.receiptsIn(page.events, peer, name)) await engine.receive(command)
      await world.system.meetOrders(meeting, peer, page.events)
      write(({ positions }) => positions.set(peer, { life: page.life, seq: page.upTo }))
    } catch (error) {
      if (!isNotNow(error)) world.failed(error)
    }
  }
}

const asLogEvent = (event: LoggedEvent): LogEvent => ({
  ...{ seq: event.seq, shopId: event.shopId, eventId: String(event.seq) as Uuid, subject: event.subject },
  ...{ subjectVersion: event.subjectVersion, type: event.type, at: event.at, data: JSON.stringify(event.data) },
})

/** A request of a client, or of another cell that sends it on. */
function handlerOf(
  { world: { system, members }, name, durable, takesNew, clock, random, isNotNow }: Ground,
  { peers, placing }: { peers: SimPeers; placing: ReturnType<typeof placingOf> },
  gather: (command: Command, key: IdempotencyKey) => Promise<CommandOutcome>,
) {
  const { stateOf } = members

  async function forward(
    to: CellName,
    request: CellRequest,
    hops: number,
    isPlaced = to !== request.home,
  ): Promise<Reply> {
    if (stateOf(name, to) === 'removed') return { kind: 'refused', code: 'cell_removed' }
    if (hops >= limits.hopsMax) return { kind: 'unavailable' }
    const sent: CellRequest = isPlaced ? { ...request, isPlacedHere: true } : request
    try {
      const body = { request: sent, hops: hops + 1 } as unknown as Json
      return (await peers.call(to, 'forward', body, { deadlineMs: 5_000 })) as unknown as Reply
    } catch {
      return { kind: 'unavailable' }
    }
  }

  /** Where it is to be carried out, and from there on. */
  function homeOf({ command, key, home, isPlacedHere }: CellRequest): CellName {
    if (home === null || isPlacedHere || stateOf(name, home) === 'removed') return name
    if (home !== name || takesNew() || (command.kind !== 'place_order' && command.kind !== 'place_hold')) return home
    const known = durable.database.tables.keys.get(`${shopId} ${key}`)
    return known ? (known.takenBy ?? name) : random.pick(peers.others())
  }

  const askParts = (place: Place) =>
    Promise.all(
      peers.others().map(async (peer) => (await peers.call(peer, 'part', place, { deadlineMs: 2_000 })) as Part),
    )

  return async function handle(request: CellRequest, hops: number): Promise<Reply> {
    const isAdjustment = request.command.kind === 'adjust_stock'
    const there = isAdjustment ? placing.homeOf(request) : homeOf(request)
    if (there !== name) return forward(there, request, hops, isAdjustment ? false : undefined)
    const command = withShares(name, peers, withIds(name, request, clock.now(), random))
    const key = { hash: request.key, request: request.hash }
    try {
      const elsewhere = isAdjustment ? await placing.takerOf(request) : undefined
      if (elsewhere) return await forward(elsewhere, request, hops, true)
      const first = await gather(command, key)
      const again = isForWant(first) ? await withParts(command, durable.database, askParts) : undefined
      const outcome = again ? await gather(again, key) : first
      if (!outcome.ok) return { kind: 'refused', code: outcome.code }
      const { value } = outcome
      if (value.kind === 'earlier' && value.takenBy !== null) return forward(value.takenBy, request, hops, true)
      const id = value.kind === 'order' ? value.order.id : value.kind === 'earlier' ? value.resultId : null
      return { kind: 'accepted', id, cell: name }
    } catch (error) {
      if (error instanceof system.LivesElsewhere) return forward(error.cell as CellName, request, hops)
      if (isNotNow(error)) return { kind: 'unavailable' }
      throw error
    }
  }
}

/** What is received is split over those who do not leave. */
function withShares(name: CellName, { isActive }: SimPeers, command: Command): Command {
  if (command.kind !== 'adjust_stock') return command
  const isThere = ({ cell }: CellShare): boolean => cell === name || isActive(cell)
  const adjustments = command.adjustments.map((one) =>
    one.shares ? { ...one, shares: one.shares.filter(isThere) } : one,
  )
  return { ...command, adjustments }
}

const isForWant = (outcome: CommandOutcome): boolean => !outcome.ok && outcome.code === 'insufficient_stock'

/** Ids are drawn by the cell that takes the request. A key that names no cell, or another, is told of in the order's event. */
function withIds(name: CellName, { command, key, hash, home }: CellRequest, now: Instant, random: Prng): Command {
  const id = uuidV7(now, random.bytes(10)) as Uuid
  const shared = home === name ? {} : { sharedKey: { hash: key, request: hash, names: home } }
  if (command.kind === 'place_order') return { ...command, orderId: id, ...shared }
  return command.kind === 'place_hold' ? { ...command, holdId: id, ...(home === null ? {} : shared) } : command
}
