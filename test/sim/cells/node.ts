// One cell among several: what of it survives, a process that dies and comes back, and a region that is lost and goes on from a
// standby or a backup, as much as those have.
import type { CellName, LocationCode, ShopId, Sku, Uuid } from '../../../src/base/ids.ts'
import type { Json } from '../../../src/base/json.ts'
import type { Prng } from '../../../src/base/prng.ts'
import type { MemoryCommit, MemoryDatabase } from '../../../src/modules/orders/memory-database.ts'
import type { Command } from '../../../src/modules/orders/types.ts'
import type { Policy, Transfer } from '../../../src/modules/stock/types.ts'
import type { Scheduler } from '../scheduler.ts'
import { createSkewedClock } from '../skewed-clock.ts'
import type { System } from '../system.ts'
import {
  type Change,
  changeOf,
  copyOf,
  countOn,
  createStandby,
  type Durable,
  frozenFor,
  type Standby,
} from './durable.ts'
import type { Homes } from './homes.ts'
import type { Members } from './members.ts'
import { type CellsPlan, groupedSkus } from './plan.ts'
import { startProcess } from './process.ts'
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
  cellAt(name: CellName): CellNode
  members: Members
  homes: Homes
  /** Calls for each other cell, those that are there and those that will be. */
  whenKnown(name: CellName, work: (peer: CellName) => void): void
  committed(cell: CellName, commit: MemoryCommit): void
  /** Its database is an earlier one now. `isSafe`: nothing that had left the cell may be missing. */
  setBack(cell: CellName, before: Durable, isSafe: boolean): void
  failed(error: unknown): void
  trace(line: () => string): void
}

export type Process = {
  isUp: boolean
  handle(request: CellRequest, hops: number): Promise<Reply>
  message(from: CellName, name: string, body: Json): Promise<Json>
  /** False: it was not, or nobody knows. */
  carryOut(command: Command): Promise<boolean>
  /** What keeps a cell that drains from leaving, as far as others know of it; null when nothing does. */
  unsettled(whatIsLeft: () => Promise<string | null>): Promise<string | null>
  kill(): void
}

export type CellNode = ReturnType<typeof createCellNode>

/** Of a standby for which answers wait: an ask is waited for 250 ms and four round trips. */
const geoLagMsMax = 100

export const shopId = 1 as ShopId

export function createCellNode(world: CellsWorld, name: CellName, random: Prng) {
  const { system, scheduler, plan, trace } = world
  const clock = createSkewedClock(scheduler, trace)
  const isGeo = random.chance(plan.geo)
  const lagMs = (): number => random.next() * (isGeo ? Math.min(plan.lagMsMax, geoLagMsMax) : plan.lagMsMax)
  let lives = 0
  let durable: Durable = {
    ...{ database: createDatabase(), positions: new Map() },
    ...{ life: nextLife(), frozen: undefined },
  }
  for (const [priority, code] of locationsOf(plan).entries())
    system.putLocation(durable.database, shopId, code, { priority, country: null, lat: null, lon: null })
  for (const sku of groupedSkus(plan)) durable.database.tables.policies.set(`${shopId} ${sku}`, policyOfGroup(sku))
  let lsn = 0
  let standby: Standby | null = null
  let backup: Durable | null = null
  const listening: (() => void)[] = []
  /** Whether it takes new orders, as one that drains does not, and whether it ever did not. */
  let [isClosed, wasClosed] = [false, false]
  let process = start()
  buildStandby()

  function nextLife(): Uuid {
    lives++
    return `${name} ${lives}` as Uuid
  }

  function createDatabase(): MemoryDatabase {
    const database: MemoryDatabase = system.createMemoryDatabase({
      clock: clock.now,
      onCommit(commit) {
        if (database !== durable.database) return // of a region that is lost
        record(changeOf(system, commit))
        world.committed(name, commit)
        if (commit.events.length > 0) for (const listener of listening.splice(0)) listener()
      },
    })
    return database
  }

  function record(change: Change): void {
    lsn++
    standby?.send(lsn, change)
  }

  function buildStandby(): void {
    if (isGeo || plan.disasters > 0)
      standby = createStandby(copyOf(durable, createDatabase), lsn, { now: scheduler.now, lagMs })
  }

  /** What went between it and a cell that is gone, which nobody could tell it. */
  function isForgotten({ database }: Durable): boolean {
    const amounts = (one?: Transfer) =>
      one && [one.sentUnits, one.sentAllowance, one.receivedUnits, one.receivedAllowance].join(' ')
    return [...durable.database.tables.transfers].some(
      ([of, now]) => world.members.mayBeGone(now.peer) && amounts(now) !== amounts(database.tables.transfers.get(of)),
    )
  }

  function start() {
    const here = durable
    const { beyond, written } = {
      beyond: beyondIn(here),
      written: () => ({ lsn, standby: standby?.flushed() ?? null }),
    }
    const takesNew = (): boolean => !isClosed && !here.frozen
    const write = (change: Change): void => {
      change(here)
      record(change)
    }
    return startProcess({ world, name, durable, write, written, isGeo, takesNew, beyond, random }, clock.now)
  }

  function beyondIn({ database: { tables } }: Durable) {
    return (seq: number): Promise<void> =>
      (tables.events.at(-1)?.seq ?? 0) > seq ? Promise.resolve() : new Promise((resolve) => listening.push(resolve))
  }

  return {
    ...{ name, clock, isGeo },
    get durable() {
      return durable
    },
    get database() {
      return durable.database
    },
    process: () => process,
    wasClosed: () => wasClosed,
    close(closed: boolean): void {
      trace(() => `${name} takes ${closed ? 'nothing new' : 'orders again'}`)
      isClosed = closed
      wasClosed ||= closed
    },
    restart(): void {
      if (world.members.isRemoved(name)) return
      trace(() => `${name} starts again`)
      process = start()
    },
    kill(): void {
      trace(() => `${name} is killed`)
      process.kill()
    },
    backUp(): void {
      backup = copyOf(durable, createDatabase)
    },
    /** Nothing comes to its standby. */
    stall: (ms: number): void => standby?.stall(ms),
    isStandbyStalled: (): boolean => standby?.flushed() === null,
    /** The region is lost, with all that is nowhere else. False when nothing is. */
    lose(isFromBackup: boolean): boolean {
      const found = isFromBackup ? backup && copyOf(backup, createDatabase) : standby?.promote()
      if (!found || world.members.isRemoved(name) || isForgotten(found)) return false
      trace(() => `${name} is lost; what its ${isFromBackup ? 'backup' : 'standby'} has is left`)
      process.kill()
      const isSafe = isGeo && !isFromBackup
      const before = durable
      durable = found
      countOn(durable)
      durable.life = nextLife()
      if (!isSafe) durable.frozen = frozenFor(isFromBackup ? 'system' : 'timeline', scheduler.now())
      wasClosed ||= !isSafe
      standby = null
      backup = null // of a life whose end the others may have compared with already
      listening.length = 0
      world.setBack(name, before, isSafe)
      return true
    },
    buildStandby,
    /** As an operator does, when every other cell has been compared with. False: not yet. */
    reconcile(): boolean {
      const { frozen } = durable
      if (!frozen) return true
      if (!world.members.othersOf(name).every((peer) => frozen.compared.includes(peer))) return false
      trace(() => `${name} sells again`)
      durable.frozen = undefined
      record((one) => {
        one.frozen = undefined
      })
      return true
    },
  }
}

const policyOfGroup = (sku: Sku): Policy => ({
  ...{ shopId, sku, tracking: 'counted', allowance: 0, regions: null, group: 'G' },
  ...{ version: 1, writtenBy: 'eu1' as CellName, elsewhere: 0 },
})

export const locationsOf = (plan: CellsPlan): LocationCode[] =>
  ['main', 'east'].slice(0, plan.locations) as LocationCode[]
