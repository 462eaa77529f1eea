// Runs one seed of many cells: builds the world, lets clients buy in all of them while messages are lost and cells cut off and
// killed, and then heals everything, since what is under way has to settle and a wanted last unit to be sold.
import type { CellName, Sku } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import { type Prng, prng } from '../../../src/base/prng.ts'
import type { Command } from '../../../src/modules/orders/types.ts'
import { createScheduler, type Scheduler } from '../scheduler.ts'
import type { System } from '../system.ts'
import { Violation } from '../violation.ts'
import { createCellsAuditor } from './auditor.ts'
import { changeMembers, liveIn } from './comings.ts'
import { createHomes, type Homes } from './homes.ts'
import { createMembers, type Members } from './members.ts'
import { type CellNode, type CellRequest, type CellsWorld, createCellNode, locationsOf, type Reply } from './node.ts'
import { createPayers } from './payers.ts'
import { type CellsPlan, groupedSkus, makeCellsPlan } from './plan.ts'
import { createWideArea, type WideArea } from './wide-area.ts'
import { createCellsWorkload, orderOf, type PlacedOrder, policyOf, skusOf } from './workload.ts'

export type CellsReport = {
  violation: Violation | null
  steps: number
  commits: number
  accepted: number
}

const workMsMax = 120_000
const patienceMs = 6_000
/** Keys that were taken elsewhere, each tried again at its home. */
const retriedMax = 20
const givenBackMax = 50
/** Of its own, so that worlds in which no home is moved stay as they are. */
const homesSeed = 0x40e5
const downMsMin = 15_000
const backMsMax = 60_000
/** Of one cell. */
const lossesMax = 2

export async function runCellsSeed(system: System, seed: number, trace?: (line: string) => void): Promise<CellsReport> {
  const random = prng(seed)
  const plan = makeCellsPlan(random.fork())
  let commits = 0
  const auditor = createCellsAuditor(() => nodes, {
    now: () => scheduler.now(),
    isGrouped: (sku) => groupedSkus(plan).includes(sku),
  })
  const scheduler: Scheduler = createScheduler(random.fork(), () => {
    const violation = auditor.violation()
    if (violation) throw violation
  })
  const say = trace ? (line: () => string) => trace(`${scheduler.now().toFixed(2)} ${line()}`) : () => {}
  const names = Array.from({ length: plan.cells }, (_, at) => cellNameOf(at))
  const joining = Array.from({ length: plan.joins }, (_, at) => cellNameOf(plan.cells + at))
  const network = createWideArea(scheduler, random.fork(), plan, [...names, ...joining])
  const members = createMembers(names, () => scheduler.now(), random.fork())
  const homes = createHomes(locationsOf(plan), names, { now: scheduler.now, random: prng(seed + homesSeed) })
  const ever = [...names]
  const known: { name: CellName; work(peer: CellName): void }[] = []
  const world: CellsWorld = {
    ...{ system, scheduler, plan, network, members, homes, trace: say },
    cellAt: (name) => nodes.find((node) => node.name === name)!,
    whenKnown(name, work) {
      known.push({ name, work })
      for (const other of ever) if (other !== name) work(other)
    },
    setBack: (name, before, isSafe) => auditor.setBack(name, before, isSafe),
    committed(cell, commit) {
      commits++
      auditor.committed(cell, commit)
      payers.heard(cell, commit)
    },
    failed: (error) => auditor.found(new Violation('ends', String((error as Error).stack ?? error))),
  }
  const payers = createPayers(plan, random.fork(), world)
  const nodes: CellNode[] = names.map((name) => createCellNode(world, name, random.fork()))
  let accepted = 0
  const placed: PlacedOrder[] = []
  const work = createCellsWorkload(plan, names, placed)
  function join(name: CellName): CellNode {
    members.add(name)
    ever.push(name)
    const node = createCellNode(world, name, random.fork())
    nodes.push(node)
    for (const one of known) if (one.name !== name) one.work(name)
    return node
  }
  const onAccepted = ({ command }: CellRequest, { id, cell }: Reply & { kind: 'accepted' }) => {
    accepted++
    if (command.kind === 'place_order' && id !== null) placed.push({ id, cell })
  }
  const run: Run = { scheduler, plan, network, members, homes, nodes, joining, join, auditor, say, work, onAccepted }
  let steps = 0
  try {
    steps = await live(run, random)
    steps += await settle(run, random.fork())
    auditor.finish()
    const violation = auditor.violation()
    if (violation) throw violation
    return { violation: null, steps, commits, accepted }
  } catch (error) {
    const violation = error instanceof Violation ? error : new Violation('ends', String((error as Error).stack))
    return { violation, steps, commits, accepted }
  }
}

const cellNameOf = (at: number): CellName => `${['eu', 'us', 'ap'][at % 3]}${1 + Math.floor(at / 3)}` as CellName

export type Run = {
  scheduler: Scheduler
  plan: CellsPlan
  network: WideArea
  members: Members
  homes: Homes
  nodes: readonly CellNode[]
  /** Names of cells that come later, and how one comes. */
  joining: readonly CellName[]
  join(name: CellName): CellNode
  auditor: ReturnType<typeof createCellsAuditor>
  say(line: () => string): void
  work: ReturnType<typeof createCellsWorkload>
  onAccepted(request: CellRequest, reply: Reply & { kind: 'accepted' }): void
}

async function live(run: Run, random: Prng): Promise<number> {
  const { scheduler, plan, nodes, network } = run
  let steps = await openDoors(run, random.fork())
  let running = 0
  let isHealed = false
  const client = async (cell: CellNode, own: Prng): Promise<void> => {
    running++
    for (let intent = 0; intent < plan.intentsPerClient; intent++) {
      await pursue(run, cell, run.work.intent(own, cell.name), own)
      await scheduler.sleep(own.next() * plan.thinkMsMax)
    }
    running--
  }
  const begin = (cell: CellNode): void => {
    for (let number = 0; number < plan.clientsPerCell; number++) void client(cell, random.fork())
    void trouble(run, cell, random.fork(), () => isHealed)
    void closings(run, cell, random.fork(), () => isHealed)
  }
  nodes.forEach(begin)
  if (plan.moves > 0) void moveHomes(run, () => isHealed)
  const changes = changeMembers(run, random.fork(), { begin, isHealed: () => isHealed })
  for (let until = scheduler.now() + 100; running > 0; until += 100) {
    if (until > workMsMax * 3) throw new Violation('ends', 'the clients never came to an end')
    if (!isHealed && until > workMsMax) {
      isHealed = true
      network.heal()
    }
    steps += await scheduler.run(until)
  }
  isHealed = true
  network.heal()
  // The last cut and restart are over, and the last message that was late has come.
  const lastMs = Math.max(plan.cutMsMax, plan.late > 0 ? plan.lateMsMax : 0)
  steps += await scheduler.run(scheduler.now() + lastMs + 3_000)
  for (let seconds = 0; changes.areUnderWay() || liveIn(run).some(isAway); seconds++) {
    if (seconds > backMsMax / 1_000)
      throw new Violation('ends', 'a cell that was lost never sells again, or one that drains never leaves')
    steps += await scheduler.run(scheduler.now() + 1_000)
  }
  return steps + (await scheduler.run(scheduler.now() + 1_000)) // a standby that is heard again opens its gate
}

const isAway = (cell: CellNode): boolean =>
  !cell.process().isUp || cell.durable.frozen !== undefined || cell.isStandbyStalled()

/** A cell is cut off, dies, or has its clock set, now and then. */
async function trouble(run: Run, cell: CellNode, random: Prng, isHealed: () => boolean): Promise<void> {
  const { scheduler, plan, network } = run
  let losses = 0
  while (!isHealed()) {
    await scheduler.sleep(1_000 * random.next())
    if (isHealed()) return
    if (random.chance(plan.cuts / 2)) {
      const ways = random.chance(plan.oneWay) ? random.pick(['in', 'out'] as const) : 'both'
      run.say(() => `${cell.name} is cut off (${ways})`)
      network.cut(cell.name, ways)
      await scheduler.sleep(random.next() * plan.cutMsMax)
      network.mend(cell.name)
      run.say(() => `${cell.name} is back`)
    }
    if (random.chance(plan.clockJumps / 2)) cell.clock.jump(random.pick([-60_000, -1_000, 500, 5_000, 120_000]))
    if (random.chance(plan.stalls / 2)) cell.stall(random.next() * 4_000)
    if (random.chance(0.2)) cell.backUp()
    if (losses < lossesMax && random.chance(plan.disasters / 2) && (await loseRegion(run, cell, random))) losses++
    if (!random.chance(plan.crashes / 2)) continue
    cell.kill()
    await scheduler.sleep(random.next() * 2_000)
    cell.restart()
  }
}

/** A cell drains, or is frozen, and takes orders again. */
async function closings(
  { scheduler, plan }: Run,
  cell: CellNode,
  random: Prng,
  isHealed: () => boolean,
): Promise<void> {
  while (!isHealed()) {
    await scheduler.sleep(1_000 * random.next())
    if (isHealed() || !random.chance(plan.closes / 2)) continue
    cell.close(true)
    await scheduler.sleep(random.next() * plan.cutMsMax)
    cell.close(false)
  }
}

/** A location gets another home now and then. */
async function moveHomes({ scheduler, plan, homes, say }: Run, isHealed: () => boolean): Promise<void> {
  while (!isHealed()) {
    await scheduler.sleep(1_000 * homes.random.next())
    if (isHealed() || !homes.random.chance(plan.moves / 2)) continue
    const { code, home } = homes.move()
    say(() => `the home of ${code} is ${home} now`)
  }
}

/** What was on its way when a region was lost has come or been given up before anybody has its standby or backup serve. */
async function loseRegion({ scheduler, plan }: Run, cell: CellNode, random: Prng): Promise<boolean> {
  if (random.chance(0.5)) {
    cell.stall(20_000)
    await scheduler.sleep(random.next() * 3_000)
  }
  if (!cell.lose(random.chance(plan.restores))) return false
  await scheduler.sleep(downMsMin + 10_000 * random.next())
  cell.restart()
  await scheduler.sleep(5_000 * random.next())
  cell.buildStandby()
  while (!cell.reconcile()) await scheduler.sleep(1_000)
  return true
}

/** Goods arrive at the homes of their places: main's is the first cell, east's the second. They are split at once. */
async function openDoors(run: Run, random: Prng): Promise<number> {
  const { plan, nodes, scheduler, work } = run
  for (const sku of skusOf(plan)) {
    if (plan.allowance > 0) await submitAt(run, nodes[0]!, policyOf(plan, sku, plan.allowance))
    for (let count = 0; count < plan.locations; count++) {
      const { command, home } = work.receipt(random, sku, plan.opening)
      await submitAt(run, nodes.find(({ name }) => name === home)!, command)
    }
  }
  return scheduler.run(scheduler.now() + 1)
}

/** Straight to the cell, until it has been done. */
async function submitAt(run: Run, cell: CellNode, command: Command): Promise<void> {
  const { scheduler } = run
  let isDone = false
  const request: CellRequest = {
    command,
    hash: 'setup',
    key: `setup-${cell.name}-${JSON.stringify(command)}`,
    home: cell.name,
  }
  const again = async (): Promise<void> => {
    while (!isDone) {
      const reply = await Promise.race([cell.process().handle(request, 0), scheduler.sleep(2_000).then(() => null)])
      isDone = reply !== null && reply.kind !== 'unavailable'
      await scheduler.sleep(20) // the gate of a cell that begins is shut
    }
  }
  void again()
  while (!isDone) await scheduler.run(scheduler.now() + 20)
}

/** A client sends again until it is answered; one that wanders tries another cell. */
async function pursue(run: Run, near: CellNode, request: CellRequest, random: Prng): Promise<Reply | null> {
  const { scheduler, plan } = run
  for (let attempt = 0; attempt < 60; attempt++) {
    const isElsewhere = run.members.isRemoved(near.name) || (attempt > 0 && random.chance(plan.wanders))
    const cell = isElsewhere ? random.pick(liveIn(run)) : near
    const isHeard = !random.chance(plan.unanswered)
    const answer = callCell(run, cell, request).then((reply) => (isHeard ? reply : null))
    const reply = await Promise.race([answer, scheduler.sleep(patienceMs).then(() => null)])
    if (reply && reply.kind !== 'unavailable') {
      run.say(
        () => `${cell.name} answers ${reply.kind} ${'id' in reply ? reply.id : 'code' in reply ? reply.code : ''}`,
      )
      if (reply.kind === 'accepted') run.onAccepted(request, reply)
      return reply
    }
    await scheduler.sleep(random.next() * 200)
  }
  return null
}

async function callCell({ auditor }: Run, cell: CellNode, request: CellRequest): Promise<Reply> {
  const process = cell.process()
  const reply = process.isUp ? await process.handle(request, 0) : ({ kind: 'unavailable' } as const)
  auditor.answered(request, reply)
  return reply
}

/**
 * All is healed: units under way arrive, orders meet, and whoever wants what is left gets it, in whichever cell, to the last unit
 * and no further; and a cell that is cut off sells what it has.
 */
async function settle(run: Run, random: Prng): Promise<number> {
  const { scheduler, auditor, plan, network } = run
  const nodes = liveIn(run)
  let steps = await scheduler.run(scheduler.now() + 10_000)
  // Who asked in vain before units became free asks again after a pause.
  for (let waitedMs = 0; waitedMs < 2 * limits.owedPauseMsMax; waitedMs += 5_000)
    if (skusOf(plan).some(auditor.isKept)) steps += await scheduler.run(scheduler.now() + 5_000)
  skusOf(plan).forEach(auditor.checkOwed)
  auditor.haveMet()
  for (const { taker, request } of auditor.takenElsewhere().slice(0, retriedMax)) {
    const home = nodes.find(({ name }) => name === request.home)
    if (!home || run.members.isRemoved(taker)) continue
    steps += await expectAnswer(run, home, request, 'accepted', 'P3')
    steps += await expectAnswer(run, home, { ...request, hash: 'another' }, 'refused', 'P3')
  }
  for (const sku of skusOf(plan)) {
    const { unitsUnderWay, allowanceUnderWay, available } = auditor.sumsOf(sku)
    if (unitsUnderWay + allowanceUnderWay > 0) throw new Violation('ends', `${unitsUnderWay} of ${sku} never arrive`)
    const owner = nodes.find(({ name }) => available.get(name)! > 0)
    if (owner) {
      network.cut(owner.name, 'both')
      steps += await expectReply(run, owner, orderOf(sku, 1, 'none'), 'accepted', 'P7')
      network.mend(owner.name)
      steps += await scheduler.run(scheduler.now() + 2_000) // the others hear of it again
    }
    if (auditor.isShort(sku)) continue // it may be short for good
    steps += await sellOut(run, sku, random)
  }
  return steps
}

/** To the last unit and no further; what a hold or an order whose time is over gives back meanwhile is sold too. */
async function sellOut(run: Run, sku: Sku, random: Prng): Promise<number> {
  const { auditor } = run
  const nodes = liveIn(run)
  const left = () => [...auditor.sumsOf(sku).available.values()].reduce((sum, units) => sum + units, 0)
  let steps = 0
  if (left() > 0) steps += await expectReply(run, random.pick(nodes), orderOf(sku, left(), 'none'), 'accepted', 'ends')
  for (let more = 0; more < givenBackMax; more++) {
    const cell = random.pick(nodes)
    const probe = await ask(run, cell, probeOf(run, cell, orderOf(sku, 1, 'none')))
    steps += probe.steps
    if (probe.reply?.kind === 'refused') return steps
  }
  throw new Violation('P1', `${sku} is never sold out`)
}

async function expectReply(
  run: Run,
  cell: CellNode,
  command: Command,
  kind: Reply['kind'],
  promise: Violation['promise'],
): Promise<number> {
  return expectAnswer(run, cell, probeOf(run, cell, command), kind, promise)
}

function probeOf({ scheduler }: Run, cell: CellNode, command: Command): CellRequest {
  const key = `probe-${scheduler.now()}-${cell.name}`
  return { command, hash: key, key, home: cell.name }
}

async function expectAnswer(
  run: Run,
  cell: CellNode,
  request: CellRequest,
  kind: Reply['kind'],
  promise: Violation['promise'],
): Promise<number> {
  const { reply: got, steps } = await ask(run, cell, request)
  if (got?.kind !== kind)
    throw new Violation(promise, `at the end ${cell.name} answered ${JSON.stringify(got)} where it should be ${kind}`)
  return steps
}

/** Null: no answer within 5 s. */
async function ask(run: Run, cell: CellNode, request: CellRequest): Promise<{ reply: Reply | null; steps: number }> {
  const { scheduler } = run
  const until = scheduler.now() + 5_000
  let reply: Reply | null = null
  let steps = 0
  void callCell(run, cell, request).then((one) => {
    reply = one
  })
  while (reply === null && scheduler.now() < until) steps += await scheduler.run(scheduler.now() + 20)
  return { reply, steps }
}
