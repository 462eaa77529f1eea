// One seed's world: cells, each with a database, a log, consumers and processes; clients; a network between them; faults.
// It runs until every client has its answers, heals, and is asked whether all promises were kept.
import type { CellName } from '../../src/base/ids.ts'
import { type Prng, prng } from '../../src/base/prng.ts'
import { createAuditor } from './auditor.ts'
import { createCell } from './cell.ts'
import { type Client, createClient } from './client.ts'
import type { Answer, Intent } from './intents.ts'
import { keyOfSku } from './names.ts'
import { createNetwork } from './network.ts'
import { makePlan, type Plan } from './plan.ts'
import type { ProcessWorld } from './process.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'
import type { System } from './system.ts'
import { Violation } from './violation.ts'
import { createWorkload, type Known, shopsOf, skusOf, type Workload } from './workload.ts'

export type Report = {
  seed: number
  steps: number
  commits: number
  accepted: number
  virtualMs: number
  violation: Violation | null
}

const workMsMax = 120_000

export async function runSeed(system: System, seed: number, trace?: (line: string) => void): Promise<Report> {
  const random = prng(seed)
  const plan = makePlan(random.fork())
  const auditor = createAuditor()
  const scheduler = createScheduler(random.fork(), () => {
    if (auditor.violation()) throw auditor.violation()
  })
  const say = (line: () => string) => trace?.(`${scheduler.now().toFixed(2).padStart(10)}  ${line()}`)
  const world: ProcessWorld = { system, scheduler, plan: { ...plan }, auditor, trace: say }
  const cell = createCell(world, 'eu1' as CellName, random.fork())
  const network = createNetwork(scheduler, random.fork(), plan.network)
  const known: Known = { holds: [], orders: [], holdLines: new Map(), shipments: [], returns: [] }
  const work = createWorkload(plan, random.fork(), known, cell.host.clock)
  const clientWorld = {
    scheduler,
    network,
    auditor,
    known,
    processAt: cell.processAt,
    places: plan.processesPerCell,
    trace: say,
  }
  const clients = Array.from({ length: plan.clients }, (_, index) =>
    createClient(clientWorld, `client ${index + 1}`, random.fork()),
  )
  say(() => `plan ${JSON.stringify(plan)}`)
  cell.start(random.fork())
  let steps = 0
  try {
    const isDone = openDoors(clients, work, plan, scheduler, random.fork())
    steps += await runUntil(scheduler, isDone, () => {
      network.heal()
      cell.heal()
    })
    steps += await closeDoors({ cell, clients, work, plan, scheduler, auditor })
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    auditor.found(error)
  }
  return {
    seed,
    steps,
    commits: cell.commits(),
    accepted: auditor.books.orders.size,
    virtualMs: scheduler.now(),
    violation: auditor.violation(),
  }
}

/** Each client pursues its intents, some of them at once. Answers whether all have ended. */
function openDoors(clients: Client[], work: Workload, plan: Plan, scheduler: Scheduler, random: Prng): () => boolean {
  let running = 0
  const pursue = (client: Client, intent: ReturnType<Workload['intent']>) => {
    running++
    return client.pursue(intent).then(() => {
      running--
    })
  }
  async function live(client: Client): Promise<void> {
    running++
    for (let count = 0; count < plan.intentsPerClient; count++) {
      const done = pursue(client, work.intent())
      if (random.chance(0.6)) await done
      await scheduler.sleep(random.next() * plan.thinkMsMax)
    }
    running--
  }
  void Promise.all(shopsOf(plan).map((shop) => pursue(clients[0]!, work.opening(shop)))).then(() => {
    for (const client of clients) void live(client)
  })
  return () => running === 0
}

/** Runs in slices until all is done; faults end after two thirds of the time, so that everyone can end. */
async function runUntil(scheduler: Scheduler, isDone: () => boolean, heal: () => void): Promise<number> {
  let steps = 0
  const sliceMs = 50
  for (let until = sliceMs; !isDone(); until += sliceMs) {
    if (until > workMsMax) throw new Violation('ends', 'the clients never came to an end')
    if (until === (workMsMax / 3) * 2) heal()
    steps += await scheduler.run(until)
  }
  heal()
  return steps
}

/** Past every hold and every unpaid order; past the deadline of what is set aside, then its end, and again what is unpaid then. */
const [minuteMs, dayMs] = [60_000, 24 * 60 * 60_000]
const endMs = [20 * minuteMs, 6 * dayMs, 2 * dayMs, 20 * minuteMs]

type Closing = {
  cell: ReturnType<typeof createCell>
  clients: Client[]
  work: Workload
  plan: Plan
  scheduler: Scheduler
  auditor: ReturnType<typeof createAuditor>
}

/** All is healed: what time has freed can be sold to the last unit and no further, and consumers catch up. */
async function closeDoors({ cell, clients, work, plan, scheduler, auditor }: Closing): Promise<number> {
  let steps = await scheduler.run(scheduler.now() + plan.slowStatementMsMax + 500) // the last slow statement is over
  steps += await settlePayments(cell, scheduler)
  for (const ms of endMs) {
    cell.advanceClock(ms)
    steps += await scheduler.run(scheduler.now() + 1_000)
    steps += await settlePayments(cell, scheduler)
    auditor.money.checkTime(cell.host.clock() - 2_000) // the sweeper has looked since
  }
  cell.lapse() // what nobody has voided, since its void was dropped
  steps += await settlePayments(cell, scheduler)
  for (const [shop, sku] of shopsOf(plan).flatMap((one) => skusOf(plan).map((of) => [one, of] as const))) {
    const units = unitsOnceFreed(auditor, keyOfSku({ shopId: shop, sku }))
    const wanted: [units: number, isThere: boolean][] = [
      [units, true],
      [1, false],
    ]
    for (const [count, isThere] of Number.isFinite(units) ? wanted : []) {
      if (count <= 0) continue
      const probe = work.probe(shop, sku, count)
      const answer = await answerTo(scheduler, clients[0]!, probe)
      steps += answer.steps
      if (answer.kind === (isThere ? 'accepted' : 'refused')) continue
      const what = `at the end, ${count} of ${sku} were ${answer.kind}, ${units} should be there`
      auditor.found(new Violation(isThere ? 'expiry' : 'P1', what))
      throw auditor.violation()
    }
  }
  const until = scheduler.now() + 30_000
  while (!cell.hasCaughtUp() && scheduler.now() < until) steps += await scheduler.run(scheduler.now() + 50)
  auditor.finish(cell.consumed(), cell.charges)
  return steps
}

/** Every provider is reached again: what is under way ends, dead letters are seen to, and the records are compared. */
async function settlePayments(cell: Closing['cell'], scheduler: Scheduler): Promise<number> {
  let steps = 0
  let quiet = 0
  for (let round = 0; quiet < 3; round++) {
    if (round === 30) cell.stopWaiting() // for buyers; by then no unpaid order stands
    if (round === 100) throw new Violation('ends', 'payments never come to an end')
    steps += await scheduler.run(scheduler.now() + 1_000)
    if (!cell.hasSettled()) {
      quiet = 0
      cell.advanceClock(60_000) // past leases and pauses
      continue
    }
    let told: number | null = null
    void cell.seeToPayments().then((count) => {
      told = count
    })
    while (told === null) steps += await scheduler.run(scheduler.now() + 20)
    quiet = told === 0 ? quiet + 1 : 0
  }
  return steps
}

/** The answer, within 3 s. */
async function answerTo(scheduler: Scheduler, client: Client, intent: Intent) {
  const until = scheduler.now() + 3_000
  let steps = 0
  let kind: Answer['kind'] | null = null
  void client.pursue(intent).then((answer) => {
    kind = answer.kind
  })
  while (kind === null && scheduler.now() < until) steps += await scheduler.run(scheduler.now() + 20)
  return { kind: kind as Answer['kind'] | null, steps }
}

/** Everything active or unpaid is over by now; what somebody has to look at is kept. */
function unitsOnceFreed({ books }: ReturnType<typeof createAuditor>, sku: string): number {
  const book = books.skus.get(sku)
  let kept = 0
  for (const { status, left } of books.orders.values()) if (status === 'in_review') kept += left.get(sku) ?? 0
  return book ? books.sellable(sku) + book.reserved - kept : 0
}
