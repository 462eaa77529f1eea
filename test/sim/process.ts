// One server process on a cell's database: the real batcher, engine and decisions over the memory store. It can be killed at
// any statement, loses sessions, has slow statements, and makes its ids before it queues anything.
import { type CellName, type Uuid, uuidV7 } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import type { Prng } from '../../src/base/prng.ts'
import { addMs, type Instant } from '../../src/base/time.ts'
import type { CutOff, Pause } from '../../src/modules/orders/engine-memory.ts'
import type { MemoryDatabase } from '../../src/modules/orders/memory-database.ts'
import type { CommandOutcome, Settle, Settlement, Submission } from '../../src/modules/orders/types.ts'
import type { TrackedOperation } from '../../src/modules/payments/decide.ts'
import type { Prompt } from '../../src/modules/payments/prompt.ts'
import type { Auditor } from './auditor.ts'
import type { Answer, Request } from './intents.ts'
import type { PayingProcess } from './payments.ts'
import type { Plan } from './plan.ts'
import type { Scheduler } from './scheduler.ts'
import type { System } from './system.ts'
import { Violation } from './violation.ts'

export type ProcessWorld = {
  system: System
  scheduler: Scheduler
  plan: Plan
  auditor: Auditor
  trace(line: () => string): void
}

export type CellHost = {
  name: CellName
  database: MemoryDatabase
  clock(): Instant
  /** The process's part in the payments of the cell. */
  startPayments(process: PayingProcess, random: Prng): Pick<Prompt, 'saw'>
}

export type Told = 'told' | 'refused' | 'later'

export type ServerProcess = {
  readonly isUp: boolean
  handle(request: Request, key: string | null): Promise<Answer>
  /** Tells an order what a provider says. */
  settle(of: Pick<TrackedOperation, 'shopId' | 'orderId'>, settlement: Settlement): Promise<Told>
  kill(): void
}

/** `number` is unique among the processes of a cell and keeps their lanes apart; the first place reads the log. */
export function startProcess(
  world: ProcessWorld,
  cell: CellHost,
  { number, isFirst }: { number: number; isFirst: boolean },
  random: Prng,
): ServerProcess {
  const { system, scheduler, plan, auditor } = world
  let isUp = true
  const whileUp = <T>(value: T): Promise<T> => (isUp ? Promise.resolve(value) : new Promise<never>(() => {}))
  const sleep = (ms: number) => scheduler.sleep(ms).then(() => whileUp(undefined))
  const laneOf = (lane: number) => number * 10 + lane

  const pause: Pause = async (statement, lane) => {
    const isSlow = random.chance(plan.slowStatement)
    await sleep(isSlow ? random.next() * plan.slowStatementMsMax : 0.05 + random.next() * 0.5)
    if (!random.chance(plan.sessionLost)) return undefined
    world.trace(() => `process ${number} lane ${lane} loses its session at ${statement}`)
    if (statement === 'commit') return lostCommit(scheduler, random)
    throw new system.DatabaseUnavailable('CONNECTION_CLOSED', `lost at ${statement}`, statement === 'committed')
  }
  const store = system.createMemoryStore(cell.database, pause)
  const engine = system.createEngine(store, { cell: cell.name, startedAt: cell.clock() })

  async function run(lane: number, submissions: readonly Submission[]): Promise<CommandOutcome[]> {
    const sinceMs = scheduler.now()
    const outcomes = await engine.run(laneOf(lane), submissions)
    world.trace(
      () =>
        `process ${number} lane ${lane} decided ${submissions.map((one, index) => `${one.command.kind}:${summary(outcomes[index]!)}`)}`,
    )
    auditor.decided(laneOf(lane), submissions, outcomes)
    if (isUp) payments.saw(submissions, outcomes, sinceMs)
    return outcomes
  }

  const batcher = system.createBatcher<Submission, CommandOutcome>({
    lanes: plan.lanes,
    run,
    rowsOf: system.rowsOf,
    keyOf: ({ command, key }) => (key && 'shopId' in command ? `${command.shopId} ${key.hash}` : null),
    deadlineOf: (submission) => submission.deadline,
    failureClass: system.failureClass,
    time: {
      now: cell.clock,
      sleep,
      afterArrivals: (work) => scheduler.after(0, () => isUp && work()),
    },
    onRerun(why, error) {
      world.trace(() => `process ${number} reruns a batch (${why}): ${error}`)
      if ((error as { code?: string }).code === '40P01')
        auditor.found(new Violation('ends', 'two batches waited for each other'))
    },
  })

  async function handle(request: Request, key: string | null): Promise<Answer> {
    const submission = {
      command: withFreshIds(request.command, cell.clock(), random),
      key: key === null ? null : { hash: key, request: request.hash },
      deadline: addMs(cell.clock(), limits.commandDeadlineMs),
    }
    try {
      return answerOf(cell.database, submission.command, await batcher.submit(submission))
    } catch (error) {
      if (isNotNow(system, error)) return { kind: 'unavailable', why: String(error) }
      throw error
    }
  }

  async function settle({ shopId, orderId }: Parameters<ServerProcess['settle']>[0], settlement: Settlement) {
    const command = { kind: 'settle', shopId, orderId, settlement } as const
    for (let attempt = 0; attempt < 3; attempt++) {
      const deadline = addMs(cell.clock(), limits.commandDeadlineMs)
      try {
        return (await batcher.submit({ command, key: null, deadline })).ok ? 'told' : 'refused'
      } catch (error) {
        if (!isNotNow(system, error)) throw error
        await sleep(random.next() * 50)
      }
    }
    return 'later'
  }

  async function sweep(): Promise<void> {
    for (;;) {
      await sleep(limits.sweepEveryMs)
      if (random.chance(plan.sweeperStalls)) continue
      const command = { kind: 'expire_due', limit: limits.sweepBatchMax } as const
      const deadline = addMs(cell.clock(), limits.commandDeadlineMs)
      await batcher.submit({ command, key: null, deadline }).catch((error: unknown) => {
        if (!isNotNow(system, error)) auditor.failed(error)
      })
    }
  }
  void sweep()
  const submit = (command: Settle) =>
    batcher.submit({ command, key: null, deadline: addMs(cell.clock(), limits.commandDeadlineMs) }).then(whileUp)
  const notNow = (error: unknown) => isNotNow(system, error)
  const payments = cell.startPayments({ consumes: isFirst, sleep, submit, isNotNow: notNow }, random.fork())

  return {
    get isUp() {
      return isUp
    },
    handle,
    settle,
    kill() {
      isUp = false
      store.close()
    },
  }
}

/** The server never got the COMMIT, or carries it out sooner or later. */
const lostCommit = (scheduler: Scheduler, random: Prng): CutOff => ({
  carriedOut: random.chance(0.4) ? null : scheduler.sleep(random.next() * 40),
})

function isNotNow(system: System, error: unknown): boolean {
  return (
    error instanceof system.Overloaded ||
    error instanceof system.DatabaseUnavailable ||
    system.failureClass(error) === 'rerun'
  )
}

function withFreshIds(command: Request['command'], now: Instant, random: Prng): Request['command'] {
  const fresh = (): Uuid => uuidV7(now, random.bytes(10))
  switch (command.kind) {
    case 'place_order':
      return { ...command, orderId: fresh(), payment: command.payment && { ...command.payment, id: fresh() } }
    case 'place_hold':
      return { ...command, holdId: fresh() }
    case 'start_payment':
      return { ...command, payment: { ...command.payment, id: fresh() } }
    case 'ship_order':
    case 'pick_order':
      return { ...command, shipmentId: fresh() }
    case 'exchange_order':
      return {
        ...command,
        returnId: fresh(),
        order: withFreshIds(command.order, now, random) as typeof command.order,
      }
    case 'request_return':
      return { ...command, returnId: fresh() }
    case 'refund_order':
      return { ...command, refundId: fresh() }
    default:
      return command
  }
}

/** What a request on an order makes has an id of its own, and is answered under it. */
function madeIn(command: Request['command'], orderId: Uuid): Uuid {
  switch (command.kind) {
    case 'start_payment':
      return command.payment.id
    case 'ship_order':
    case 'pick_order':
      return command.shipmentId
    case 'request_return':
      return command.returnId
    case 'refund_order':
      return command.refundId
    default:
      return orderId
  }
}

const makesOrder = ({ kind }: Request['command']): boolean => kind === 'place_order' || kind === 'exchange_order'

/** As the service answers: what an earlier request made is read as it is now. */
function answerOf({ tables }: MemoryDatabase, command: Request['command'], outcome: CommandOutcome): Answer {
  if (!outcome.ok) return { kind: 'refused', code: outcome.code, errors: outcome.errors ?? [] }
  const { value, replayed } = outcome
  switch (value.kind) {
    case 'order':
      return { kind: 'accepted', replayed, id: madeIn(command, value.order.id), order: value.order }
    case 'hold':
      return { kind: 'accepted', replayed, id: value.hold.id, hold: value.hold }
    case 'earlier': {
      const id = value.resultId
      return {
        kind: 'accepted',
        replayed,
        id,
        order: tables.orders.get('orderId' in command && !makesOrder(command) ? command.orderId : id!),
        hold: id ? tables.holds.get(id) : undefined,
      }
    }
    default:
      return { kind: 'accepted', replayed, id: null }
  }
}

const summary = (outcome: CommandOutcome): string =>
  outcome.ok ? (outcome.replayed ? 'replayed' : 'accepted') : outcome.code
