// What one seed of many cells is about: how many cells, how far apart, and which faults strike how often. Each fault is off in many
// seeds and heavy in some.
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
}

export function makeCellsPlan(random: Prng): CellsPlan {
  const odds = (off: number, max: number): number => (random.chance(off) ? 0 : random.next() * max)
  return {
    cells: random.chance(0.93) ? random.between(3, 5) : random.between(6, 20),
    clientsPerCell: random.between(1, 3),
    intentsPerClient: random.between(3, 10),
    skus: random.between(1, 3),
    locations: random.between(1, 2),
    opening: random.between(1, 30),
    allowance: random.chance(0.7) ? 0 : random.between(1, 6),
    latencyMsMax: random.pick([1, 20, 150]),
    lost: odds(0.4, 0.2),
    doubled: odds(0.4, 0.3),
    late: odds(0.4, 0.2),
    lateMsMax: random.pick([100, 2_000, 2_000, 60_000]),
    cuts: odds(0.4, 0.6),
    oneWay: random.next(),
    cutMsMax: random.pick([300, 3_000, 15_000, 40_000]),
    crashes: odds(0.5, 0.6),
    closes: odds(0.5, 0.5),
    sessionLost: odds(0.6, 0.01),
    geo: odds(0.5, 1),
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
  }
}
