// A simulated cell: one database, its log's consumers, its processes, and its payment provider, with the faults that strike them.
import { type CellName, type Uuid, uuidV7 } from '../../src/base/ids.ts'
import type { Prng } from '../../src/base/prng.ts'
import { type ConsumerWorld, runConsumer } from './consumer-run.ts'
import { createNetwork } from './network.ts'
import { createOperations, reconcile, startPayments } from './payments.ts'
import { type CellHost, type ProcessWorld, type ServerProcess, startProcess } from './process.ts'
import { createProvider, type TakenBack } from './provider.ts'
import { createSkewedClock } from './skewed-clock.ts'
import { locationsOf, shopsOf } from './workload.ts'

const hourMs = 60 * 60 * 1000
const dayMs = 25 * hourMs
/** Past the capture deadline of what was set aside, and past its end. */
const weeksMs = [6 * 24 * hourMs + hourMs, 8 * 24 * hourMs]

export function createCell(world: ProcessWorld, name: CellName, random: Prng) {
  const { system, scheduler, plan, auditor } = world
  let commits = 0
  let started = 0
  /** Webhooks that are sent again and again. */
  let unheard = 0
  const places: ServerProcess[] = []
  const consumers = new Map<string, ConsumerWorld['consumer']>()
  const { now: clock, jump, advance } = createSkewedClock(scheduler, world.trace)
  const database = system.createMemoryDatabase({
    clock,
    onCommit(commit) {
      commits++
      auditor.committed(commit)
    },
  })
  const network = createNetwork(scheduler, random.fork(), plan.providerNetwork)
  const operations = createOperations(system, database, random.fork())
  const webhooks = random.fork()
  const provider = createProvider(scheduler, random.fork(), plan.provider, {
    charging: auditor.money.charging,
    webhook: (charge) =>
      network.send(() => {
        const settlement = system.settlementOfCharge(charge)
        const process = webhooks.pick(places)
        world.trace(() => `webhook: ${charge.paymentId} is ${charge.status}`)
        if (settlement && process.isUp) process.settle(charge, settlement).catch(auditor.failed)
      }),
  })
  const position = { seq: 0, settled: 0 }
  const paymentsWorld = {
    ...{ system, scheduler, database, operations, provider, network, auditor, clock, position, trace: world.trace },
    plan: world.plan,
  }
  const host: CellHost = {
    name,
    database,
    clock,
    startPayments: (process, ownRandom) => startPayments(paymentsWorld, process, ownRandom),
  }
  auditor.watches(database)
  for (const [priority, code] of locationsOf(plan).entries()) {
    const site = { priority, country: priority === 0 ? 'DE' : null, lat: null, lon: null }
    for (const shopId of shopsOf(plan)) system.putLocation(database, shopId, code, site)
  }

  function start(ownRandom: Prng): void {
    for (let place = 0; place < plan.processesPerCell; place++) {
      places[place] = startProcess(world, host, { number: ++started, isFirst: place === 0 }, ownRandom.fork())
      void crashNowAndThen(place, ownRandom.fork())
    }
    void jumpNowAndThen(ownRandom.fork())
    void reconcileNowAndThen(ownRandom.fork())
    for (const consumerName of ['mirror', 'ledger']) {
      const consumer = system.createConsumer((event) => auditor.applied(consumerName, event))
      consumers.set(consumerName, consumer)
      void runConsumer({ ...world, database, consumer }, ownRandom.fork())
    }
  }

  async function crashNowAndThen(place: number, ownRandom: Prng): Promise<void> {
    for (;;) {
      await scheduler.sleep(1_000 * ownRandom.next())
      if (!ownRandom.chance(world.plan.crashes / 2)) continue
      world.trace(() => `place ${place} is killed`)
      places[place]!.kill()
      await scheduler.sleep(ownRandom.next() * 300)
      places[place] = startProcess(world, host, { number: ++started, isFirst: place === 0 }, ownRandom.fork())
    }
  }

  async function jumpNowAndThen(ownRandom: Prng): Promise<void> {
    for (;;) {
      await scheduler.sleep(1_000 * ownRandom.next())
      if (ownRandom.chance(world.plan.days / 2)) {
        jump(dayMs)
        provider.forgetKeys()
      }
      if (ownRandom.chance(world.plan.weeks / 2)) weekIsOver(ownRandom)
      if (ownRandom.chance(world.plan.drops / 2)) dropDead(ownRandom).catch(auditor.failed)
      if (!ownRandom.chance(world.plan.clockJumps / 2)) continue
      jump(ownRandom.pick([-3_600_000, -2_000, -100, 50, 1_000, 5_000, 30_000, 16 * 60_000]))
    }
  }

  function weekIsOver(ownRandom: Prng): void {
    jump(ownRandom.pick(weeksMs))
    provider.forgetKeys()
    provider.lapse(ownRandom.next())
    for (const one of provider.takeBack(ownRandom.next() / 2)) void tellUntilHeard(one, ownRandom)
  }

  /** A webhook is sent again until it is answered. */
  async function tellUntilHeard({ shopId, orderId, refundId }: TakenBack, ownRandom: Prng): Promise<void> {
    const settlement = { of: 'refund', id: refundId, says: 'failed', error: 'closed_account' } as const
    auditor.money.takenBack(refundId)
    unheard++
    for (;;) {
      const process = ownRandom.pick(places)
      if (process.isUp) {
        const told = process.settle({ shopId, orderId }, settlement)
        if ((await Promise.race([told, scheduler.sleep(2_000).then(() => 'later')])) !== 'later') break
      }
      await scheduler.sleep(100)
    }
    unheard--
  }

  /** The order is told first, as holdfast dead drop does. */
  async function dropDead(ownRandom: Prng): Promise<void> {
    const [process, dead] = [ownRandom.pick(places), operations.dead()]
    if (dead.length === 0 || !process.isUp) return
    const { id, kind, paymentId, ...of } = ownRandom.pick(dead)
    if (kind === 'refund') return
    world.trace(() => `${kind} ${id} is dropped`)
    const told = await process.settle(of, { of: 'payment', id: paymentId, says: 'given_up', operation: kind })
    if (told === 'told') operations.remove(id)
  }

  async function reconcileNowAndThen(ownRandom: Prng): Promise<void> {
    for (;;) {
      await scheduler.sleep(5_000 * ownRandom.next())
      await tellDifferences(ownRandom)
    }
  }

  /** From a process that may die meanwhile: nobody waits for it longer than this. */
  function tellDifferences(ownRandom: Prng): Promise<number> {
    const process = ownRandom.pick(places)
    if (!process.isUp) return Promise.resolve(1)
    const told = reconcile({ system, operations, provider, clock, settle: process.settle }, database)
    return Promise.race([told, scheduler.sleep(2_000).then(() => 1)])
  }

  const closing = random.fork()
  const { drops } = plan
  return {
    host,
    start,
    charges: provider.charges,
    stopWaiting: provider.stopWaiting,
    processAt: (place: number) => places[place]!,
    commits: () => commits,
    hasCaughtUp,
    consumed: () => new Map([...consumers].map(([consumerName, { stored }]) => [consumerName, stored.units])),
    /** Nothing is under way between the orders and the provider. */
    hasSettled: () => hasCaughtUp() && operations.isIdle() && !provider.isBusy() && unheard === 0,
    /** Dead letters are tried again, and the two records compared. Answers how much there was to do. */
    async seeToPayments() {
      if (closing.chance(drops)) await Promise.race([dropDead(closing), scheduler.sleep(2_000)])
      const retried = operations.retryDead(clock(), () => uuidV7(clock(), closing.bytes(10)) as Uuid)
      return retried + (await tellDifferences(closing))
    },
    advanceClock: advance,
    /** Whatever is still set aside runs out. */
    lapse: () => provider.lapse(1),
    heal() {
      network.heal()
      Object.assign(world.plan, {
        sessionLost: 0,
        slowStatement: 0,
        crashes: 0,
        clockJumps: 0,
        days: 0,
        weeks: 0,
        sweeperStalls: 0,
        drops: 0,
        eventDoubled: 0,
        consumerCrash: 0,
      })
      Object.assign(plan.provider, { tryAgain: 0, slow: 0, declines: 0, acts: 0, lies: 0, silent: 0 })
    },
  }

  function hasCaughtUp(): boolean {
    const newest = database.tables.events.at(-1)?.seq ?? 0
    return position.seq >= newest && [...consumers.values()].every(({ stored }) => stored.position >= newest)
  }
}
