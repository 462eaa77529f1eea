// One cell among several: a database that survives, and a process that dies and comes back. The engine, its queue, the allotments,
// the gathering and the meeting of orders are the real ones; what carries their messages is simulated.
import { type CellName, type LocationCode, type ShopId, type Uuid, uuidV7 } from '../../../src/base/ids.ts'
import type { Json } from '../../../src/base/json.ts'
import { limits } from '../../../src/base/limits.ts'
import type { Prng } from '../../../src/base/prng.ts'
import { addMs, type Instant } from '../../../src/base/time.ts'
import type { Pause } from '../../../src/modules/orders/engine-memory.ts'
import type { LoggedEvent, MemoryCommit } from '../../../src/modules/orders/memory-database.ts'
import type { Standing } from '../../../src/modules/orders/money.ts'
import type { Command, CommandOutcome, IdempotencyKey, Submission } from '../../../src/modules/orders/types.ts'
import type { ReceiveUnits } from '../../../src/modules/stock/types.ts'
import type { LogEvent } from '../../../src/runtime/event-log.ts'
import type { Scheduler } from '../scheduler.ts'
import { createSkewedClock } from '../skewed-clock.ts'
import type { System } from '../system.ts'
import { type Part, type Place, partOf, withParts } from './parts.ts'
import type { CellsPlan } from './plan.ts'
import type { WideArea } from './wide-area.ts'

export type Reply =
  | { kind: 'accepted'; id: Uuid | null; cell: CellName }
  | { kind: 'refused'; code: string }
  | { kind: 'unavailable' }
export type CellRequest = {
  command: Command
  hash: string
  key: string
  home: CellName | null
  /** By a cell that takes nothing new, or has heard that the key was taken there. */
  isPlacedHere?: true
}

export type CellsWorld = {
  system: System
  scheduler: Scheduler
  plan: CellsPlan
  network: WideArea
  names: readonly CellName[]
  cellAt(name: CellName): CellNode
  committed(cell: CellName, commit: MemoryCommit): void
  failed(error: unknown): void
  trace(line: () => string): void
}

export type CellNode = ReturnType<typeof createCellNode>

type Process = {
  isUp: boolean
  handle(request: CellRequest, hops: number): Promise<Reply>
  message(from: CellName, name: string, body: Json): Promise<Json>
  /** False when it cannot now. */
  carryOut(command: Command): Promise<boolean>
  kill(): void
}

class OutOfReach extends Error {
  override readonly name = 'OutOfReach'
  readonly cell: CellName
  constructor(cell: CellName) {
    super(`${cell} did not answer`)
    this.cell = cell
  }
}

/** The fields of all messages; which are there depends on its kind. */
type Message = {
  request: CellRequest
  hops: number
  after: number
  shop: ShopId
  id: Uuid
  other: Uuid
}

export const shopId = 1 as ShopId

export function createCellNode(world: CellsWorld, name: CellName, random: Prng) {
  const { system, scheduler, plan, network, trace } = world
  const clock = createSkewedClock(scheduler, trace)
  const database = system.createMemoryDatabase({
    clock: clock.now,
    onCommit(commit) {
      world.committed(name, commit)
      if (commit.events.length === 0) return
      for (const listener of listening.splice(0)) listener()
    },
  })
  /** How far this cell has read each other's log; stored with what came of it. */
  const positions = new Map<CellName, number>()
  let lanes = 0
  const nextLane = (): number => {
    lanes += 10
    return lanes
  }
  const listening: (() => void)[] = []
  /** Whether it takes new orders, as one that drains does not, and whether it ever did not. */
  let [isClosed, wasClosed] = [false, false]
  let process = startProcess()

  const beyond = (seq: number): Promise<void> =>
    (database.tables.events.at(-1)?.seq ?? 0) > seq
      ? Promise.resolve()
      : new Promise((resolve) => listening.push(resolve))

  function startProcess(): Process {
    const lane = nextLane()
    const up = { isUp: true }
    const whileUp = <T>(value: T): Promise<T> => (up.isUp ? Promise.resolve(value) : new Promise<never>(() => {}))
    const sleep = (ms: number) => scheduler.sleep(ms).then(() => whileUp(undefined))
    const elapsedMs = () => scheduler.now()
    const pause: Pause = async (statement) => {
      await sleep(0.05 + random.next() * 0.5)
      if (!random.chance(plan.sessionLost)) return undefined
      if (statement === 'commit') return { carriedOut: random.chance(0.4) ? null : scheduler.sleep(random.next() * 40) }
      throw new system.DatabaseUnavailable('CONNECTION_CLOSED', `lost at ${statement}`, statement === 'committed')
    }
    const store = system.createMemoryStore(database, pause)
    const engine = system.createEngine(store, {
      cell: name,
      startedAt: clock.now(),
      onRows: (rows) => up.isUp && allotments.saw(rows),
    })
    const batcher = system.createBatcher<Submission, CommandOutcome>({
      lanes: 1,
      run: (index, submissions) => engine.run(lane + index, submissions),
      rowsOf: system.rowsOf,
      keyOf: ({ command, key }) => (key && 'shopId' in command ? `${command.shopId} ${key.hash}` : null),
      deadlineOf: ({ deadline }) => deadline,
      failureClass: system.failureClass,
      time: { now: clock.now, sleep, afterArrivals: (work) => scheduler.after(0, () => up.isUp && work()) },
    })
    const submissionOf = (command: Command, key: IdempotencyKey | null = null): Submission => ({
      ...{ command, key },
      deadline: addMs(clock.now(), limits.commandDeadlineMs),
    })
    const submit = (command: Command): Promise<CommandOutcome> => batcher.submit(submissionOf(command)).then(whileUp)

    const misses = new Map<CellName, number>()
    const isUp = (cell: CellName): boolean => (misses.get(cell) ?? 0) < 2
    async function call(
      to: CellName,
      message: string,
      body: Json,
      { deadlineMs }: { deadlineMs: number },
    ): Promise<Json> {
      const text = JSON.stringify(body)
      const answer = await new Promise<Json | undefined>((resolve) => {
        scheduler.after(deadlineMs, () => resolve(undefined))
        network.send(name, to, () => {
          const target = world.cellAt(to).process()
          if (!target.isUp) return
          target.message(name, message, JSON.parse(text) as Json).then(
            (value) => target.isUp && network.send(to, name, () => resolve(JSON.parse(JSON.stringify(value)) as Json)),
            (error) => isNotNow(system, error) || error instanceof OutOfReach || world.failed(error),
          )
        })
      })
      await whileUp(undefined)
      if (answer !== undefined) misses.set(to, 0)
      else if (message !== 'log') misses.set(to, (misses.get(to) ?? 0) + 1) // one that waits for news says little
      if (message === 'ask') trace(() => `${name} asks ${to}: ${text} -> ${JSON.stringify(answer) ?? 'no answer'}`)
      if (answer === undefined) throw new OutOfReach(to)
      return answer
    }
    const others = world.names.filter((one) => one !== name)
    const peers = {
      ...{ others: () => others, isActive: () => true, isUp },
      rttMs: (cell: CellName) => 2 * network.oneWayMs(name, cell),
      call,
    }
    const allotments = system.createAllotments({
      ...{ cell: name, peers, demand: system.trackDemand(elapsedMs) },
      clock: { now: clock.now, elapsedMs, sleep },
      async send(command) {
        const outcome = await submit(command)
        if (!outcome.ok || outcome.value.kind !== 'sent') throw new Error('an ask was refused')
        return outcome.value.sent
      },
      receive: async (command) => (await receive(command)).units,
      onError: (error) => isNotNow(system, error) || error instanceof OutOfReach || world.failed(error),
    })
    const gathering = system.withGathering(batcher, allotments, clock.now)

    async function receive(command: ReceiveUnits) {
      const outcome = await submit(command)
      if (!outcome.ok || outcome.value.kind !== 'received') throw new Error('units were refused')
      return outcome.value.received
    }

    /** As another cell's log says: credited and met first, and only then is its position stored. */
    async function follow(peer: CellName): Promise<void> {
      for (;;) {
        await sleep(20 + random.next() * 50)
        const after = positions.get(peer) ?? 0
        try {
          const answer = (await call(peer, 'log', { after }, { deadlineMs: 3_000 })) as {
            events: LogEvent[]
            upTo: number
          }
          for (const command of system.receiptsIn(answer.events, peer, name)) await receive(command)
          await system.meetOrders(meeting, peer, answer.events)
          positions.set(peer, Math.max(positions.get(peer) ?? 0, answer.upTo))
        } catch (error) {
          if (!(isNotNow(system, error) || error instanceof OutOfReach)) world.failed(error)
        }
      }
    }

    const meeting = createMeeting()
    function createMeeting() {
      return {
        cell: name,
        findKeys: async (keys: readonly { shopId: ShopId; hash: string }[]) =>
          keys.flatMap(({ shopId: shop, hash }) => database.tables.keys.get(`${shop} ${hash}`) ?? []),
        async standing(of: CellName, { shopId: shop, id }: { shopId: ShopId; id: Uuid }) {
          return (await call(of, 'standing', { shop, id }, { deadlineMs: 3_000 })) as Standing
        },
        async rememberKey(command: Command, key: IdempotencyKey) {
          await batcher.submit(submissionOf(command, key)).then(whileUp)
        },
        async supersede(command: Command) {
          const outcome = await submit(command)
          if (!outcome.ok || outcome.value.kind !== 'order') throw new Error('a duplicate was refused')
          return outcome.value.order
        },
        async tellOther(of: CellName, { shopId: shop, id, other }: { shopId: ShopId; id: Uuid; other: Uuid }) {
          return (await call(of, 'duplicate', { shop, id, other }, { deadlineMs: 8_000 })) as boolean
        },
        onMismatch: () => world.failed(new Error('a key was used for two requests')),
      }
    }

    async function handle(request: CellRequest, hops: number): Promise<Reply> {
      const there = homeOf(request)
      if (there !== name) return forward(there, request, hops)
      const command = withIds(name, request, clock.now(), random)
      const askParts = (place: Place) =>
        Promise.all(others.map(async (peer) => (await call(peer, 'part', place, { deadlineMs: 2_000 })) as Part))
      try {
        const submission = submissionOf(command, { hash: request.key, request: request.hash })
        const first = await gathering(submission).then(whileUp)
        const again = isForWant(first) ? await withParts(command, database, askParts) : undefined
        const outcome = again ? await gathering({ ...submission, command: again }).then(whileUp) : first
        if (!outcome.ok) return { kind: 'refused', code: outcome.code }
        const { value } = outcome
        if (value.kind === 'earlier' && value.takenBy !== null) return forward(value.takenBy, request, hops)
        const id = value.kind === 'order' ? value.order.id : value.kind === 'earlier' ? value.resultId : null
        return { kind: 'accepted', id, cell: name }
      } catch (error) {
        if (error instanceof system.LivesElsewhere) return forward(error.cell as CellName, request, hops)
        if (isNotNow(system, error) || error instanceof OutOfReach) return { kind: 'unavailable' }
        throw error
      }
    }

    /** Where it is to be carried out, and from there on. */
    function homeOf({ command, key, home, isPlacedHere }: CellRequest): CellName {
      if (home === null || isPlacedHere) return name
      if (home !== name || !isClosed || command.kind !== 'place_order') return home
      const known = database.tables.keys.get(`${shopId} ${key}`)
      return known ? (known.takenBy ?? name) : random.pick(others)
    }

    async function forward(to: CellName, request: CellRequest, hops: number): Promise<Reply> {
      if (hops >= 2) return { kind: 'unavailable' }
      const isPlacedHere = to !== request.home
      try {
        const body = {
          request: isPlacedHere ? { ...request, isPlacedHere } : request,
          hops: hops + 1,
        } as unknown as Json
        return (await call(to, 'forward', body, { deadlineMs: 5_000 })) as unknown as Reply
      } catch {
        return { kind: 'unavailable' }
      }
    }

    async function message(from: CellName, kind: string, body: Json): Promise<Json> {
      const of = body as unknown as Message
      switch (kind) {
        case 'ask':
          return allotments.answerAsk(from, body)
        case 'forward':
          return (await handle(of.request, of.hops)) as unknown as Json
        case 'part':
          return partOf(database, body as Place)
        case 'duplicate':
          return system.settlePair(meeting, { shopId: of.shop, own: of.id, from, id: of.other })
        case 'standing':
          return system.standingOf(database.tables.orders.get(of.id))
        case 'greet':
          return {}
        default: {
          await Promise.race([beyond(of.after), sleep(4_000)])
          const upTo = await system.settledUpTo(database, () => sleep(0.1))
          const events = database.tables.events.filter(({ seq }) => seq > of.after && seq <= upTo)
          return { events: events.map(asLogEvent), upTo } as unknown as Json
        }
      }
    }

    async function forever(everyMs: number, work: () => unknown): Promise<void> {
      for (;;) {
        await sleep(everyMs)
        await work()
      }
    }
    const ignored = (error: unknown) => isNotNow(system, error) || world.failed(error)
    const sweep = { kind: 'expire_due', limit: limits.sweepBatchMax } as const
    void forever(limits.sweepEveryMs, () => submit(sweep).catch(ignored))
    for (const rows of Map.groupBy(database.tables.rows.values(), ({ sku }) => sku).values()) allotments.saw(rows)
    void forever(limits.owedEveryMs, allotments.askForOwed)
    for (const peer of others) {
      void follow(peer)
      void forever(500, () => {
        if ((misses.get(peer) ?? 0) > 0) return call(peer, 'greet', {}, { deadlineMs: 1_000 }).catch(() => {})
      })
    }
    return Object.assign(up, {
      handle,
      message,
      async carryOut(command: Command) {
        if (!up.isUp) return false
        return submit(command).then(
          () => true,
          (error) => {
            if (!isNotNow(system, error)) world.failed(error)
            return false
          },
        )
      },
      kill() {
        up.isUp = false
        store.close()
      },
    })
  }

  return {
    name,
    database,
    clock,
    process: () => process,
    wasClosed: () => wasClosed,
    close(closed: boolean): void {
      trace(() => `${name} takes ${closed ? 'nothing new' : 'orders again'}`)
      isClosed = closed
      wasClosed ||= closed
    },
    restart(): void {
      trace(() => `${name} starts again`)
      process = startProcess()
    },
    kill(): void {
      trace(() => `${name} is killed`)
      process.kill()
    },
  }
}

const isNotNow = (system: System, error: unknown): boolean =>
  error instanceof system.Overloaded || error instanceof system.DatabaseUnavailable

const isForWant = (outcome: CommandOutcome): boolean => !outcome.ok && outcome.code === 'insufficient_stock'

const asLogEvent = (event: LoggedEvent): LogEvent => ({
  ...{ seq: event.seq, shopId: event.shopId, eventId: String(event.seq) as Uuid, subject: event.subject },
  ...{ subjectVersion: event.subjectVersion, type: event.type, at: event.at, data: JSON.stringify(event.data) },
})

/** Ids are drawn by the cell that takes the request. A key that names no cell, or another, is told of in the order's event. */
function withIds(name: CellName, { command, key, hash, home }: CellRequest, now: Instant, random: Prng): Command {
  const id = uuidV7(now, random.bytes(10)) as Uuid
  const shared = home === name ? {} : { sharedKey: { hash: key, request: hash, names: home } }
  if (command.kind === 'place_order') return { ...command, orderId: id, ...shared }
  return command.kind === 'place_hold' ? { ...command, holdId: id } : command
}

export const locationsOf = (plan: CellsPlan): LocationCode[] =>
  ['main', 'east'].slice(0, plan.locations) as LocationCode[]
