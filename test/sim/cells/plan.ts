// What one seed of many cells is about: how many cells, how far apart, and which faults strike how often. Each fault is off in many
// seeds and heavy in some.
import type { Sku } from '../../../src/base/ids.ts'
import type { Prng } from '../../../src/base/prng.ts'

export type CellsPlan = {
  cells: number
  clientsPerCell: number
  intentsPerClient: number
  skus: number
  locations: number
  /** Units of each SKU when the doors open: few, so that they run out. */
  opening: number
  allowance: number
  /** Between two cells, one way. */
  latencyMsMax: number
  lost: number
  doubled: number
  late: number
  lateMsMax: number
  /** Odds per second, for each cell, that it is cut off; and that only one way is. */
  cuts: number
  oneWay: number
  cutMsMax: number
  /** Odds per second, for each cell, that its process dies. */
  crashes: number
  /** Odds per second, for each cell, that it takes nothing new for a while, and keys that name it are taken by others. */
  closes: number
  /** Cells that join while clients buy, and that drain and leave. */
  joins: number
  leaves: number
  /** Of the SKUs, the first two are one group. */
  isGrouped: boolean
  sessionLost: number
  /** Odds that a cell is `geo`; of any cell, per second, that its region is lost; and that it goes on from a backup. */
  geo: number
  disasters: number
  restores: number
  /** Between a commit and its arrival at the standby; of a cell that is not `geo` nobody waits for it. */
  lagMsMax: number
  /** Odds per second that nothing comes to a standby for a while. */
  stalls: number
  clockJumps: number
  /** Odds that a client names the home of its key; the others' keys may be taken twice. */
  namedKeys: number
  /** Odds that a client tries another cell when it got no answer. */
  wanders: number
  thinkMsMax: number
  /** Odds that an order is paid for, or that somebody tries to. */
  payers: number
  /** Odds that an answer does not reach its client. */
  unanswered: number
  /** Odds of each kind of intent; else it is a purchase. */
  holds: number
  cancels: number
  receipts: number
  losses: number
  policies: number
  /** Odds per second that a location gets another home. */
  moves: number
}

/** Most worlds have a bit of everything; a third are small, and about one thing, so that a guard that is gone is missed soon. */
export function makeCellsPlan(random: Prng): CellsPlan {
  const plan = anyPlan(random)
  const about = random.pick([
    ...Array(8).fill('anything'),
    'keys',
    'keys',
    'counts',
    'counts',
    'members',
    'groups',
  ] as About[])
  if (about === 'anything') return plan
  const small = { cells: 3, clientsPerCell: 2, intentsPerClient: random.between(4, 8), skus: 1, lateMsMax: 2_000 }
  const quiet = { cutMsMax: 3_000, crashes: 0, disasters: 0, stalls: 0, closes: 0, geo: 0, thinkMsMax: 300 }
  Object.assign(plan, small, quiet, ofWhat[about](random))
  return plan
}

/** Cells join and leave. */
const aboutMembers = (random: Prng) => ({
  ...{
    cells: random.between(3, 4),
    joins: random.between(0, 1),
    leaves: random.chance(0.8) ? 1 : 0,
    opening: random.between(3, 20),
  },
  ...{
    clientsPerCell: 3,
    intentsPerClient: 20,
    namedKeys: 0.2,
    cancels: 0.4,
    holds: 0.3,
    policies: 0,
    receipts: random.pick([0, 0.3]),
  },
  ...{ latencyMsMax: 150, lost: random.pick([0, 0.2]), late: 0.4, lateMsMax: random.pick([500, 2_000, 5_000]) },
})

/** Seats of one event: bought together, or with something else. */
const aboutGroups = (random: Prng) => ({
  ...{ isGrouped: true, skus: random.between(2, 3), locations: 1, allowance: 0, policies: 0, losses: 0, receipts: 0 },
  ...{ opening: random.between(3, 12), clientsPerCell: 3, cuts: random.pick([0, 0.3]), crashes: random.pick([0, 0.2]) },
})

/** Many keys are taken twice, and their orders are paid or given up while they meet. */
const aboutKeys = (random: Prng) => ({
  ...{ opening: 30, holds: 0, losses: 0, policies: 0, cancels: random.next() * 0.4 },
  ...{ namedKeys: random.pick([0, 0, 0.5]), wanders: 1, unanswered: 0.5, payers: random.pick([0, 1, 1]) },
  ...{ cuts: 0.5, late: 0.2, latencyMsMax: random.pick([20, 150]) },
})

/** What is sent again comes to another cell, which knows another home. */
const movingHomes = { moves: 1, leaves: 0, joins: 0, wanders: 1, unanswered: 0.5, receipts: 0.5 }

/** Some of what is counted on is not there. */
const aboutCounts = (random: Prng) => ({
  ...{ opening: random.between(3, 12), losses: 0.4, receipts: 0.1, policies: 0, cancels: 0.3, holds: 0.2 },
  ...{ namedKeys: 1, wanders: 0, payers: 0, cuts: random.pick([0, 0.3]), locations: random.between(1, 2) },
  ...(random.chance(0.5) ? movingHomes : {}),
})

const ofWhat = { keys: aboutKeys, counts: aboutCounts, members: aboutMembers, groups: aboutGroups }
type About = keyof typeof ofWhat | 'anything'

function anyPlan(random: Prng): CellsPlan {
  const odds = (off: number, max: number): number => (random.chance(off) ? 0 : random.next() * max)
  const isGrouped = random.chance(0.25)
  return {
    cells: random.chance(0.95) ? random.between(3, 5) : random.between(6, 20),
    clientsPerCell: random.between(1, 3),
    intentsPerClient: random.between(3, 10),
    skus: isGrouped ? random.between(2, 3) : random.between(1, 3),
    locations: random.between(1, 2),
    opening: random.between(1, 30),
    allowance: random.chance(0.7) ? 0 : random.between(1, 6),
    latencyMsMax: random.pick([1, 20, 150]),
    lost: odds(0.4, 0.2),
    doubled: odds(0.4, 0.3),
    late: odds(0.4, 0.2),
    lateMsMax: random.pick([100, 100, 500, 2_000, 2_000, 2_000, 2_000, 60_000]),
    cuts: odds(0.4, 0.6),
    oneWay: random.next(),
    cutMsMax: random.pick([300, 1_000, 3_000, 3_000, 3_000, 5_000, 15_000, 40_000]),
    crashes: odds(0.5, 0.6),
    closes: odds(0.5, 0.5),
    joins: random.chance(0.7) ? 0 : random.between(1, 2),
    leaves: random.chance(0.6) ? 0 : 1,
    isGrouped,
    sessionLost: odds(0.6, 0.01),
    geo: odds(0.6, 1),
    disasters: odds(0.6, 0.4),
    restores: odds(0.5, 0.6),
    lagMsMax: random.pick([5, 50, 500, 5_000]),
    stalls: odds(0.5, 0.4),
    clockJumps: odds(0.6, 0.5),
    namedKeys: random.next(),
    wanders: odds(0.3, 1),
    thinkMsMax: random.pick([1, 50, 1_000]),
    payers: odds(0.3, 1),
    unanswered: odds(0.4, 0.3),
    holds: odds(0.3, 0.3),
    cancels: odds(0.3, 0.3),
    receipts: odds(0.5, 0.2),
    losses: odds(0.7, 0.2),
    policies: odds(0.7, 0.2),
    moves: 0,
  }
}

export const groupedSkus = ({ isGrouped }: CellsPlan): Sku[] => (isGrouped ? ['S-0' as Sku, 'S-1' as Sku] : [])

/** Cells do not tell each other policies here: all begin with this, and none changes it. */
export const groupOf = (plan: CellsPlan, sku: Sku): string | null => (groupedSkus(plan).includes(sku) ? 'G' : null)
