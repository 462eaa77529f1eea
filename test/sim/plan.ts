// What one seed is about: how big the world is and which faults strike how often. Each fault is off in many seeds and heavy
// in some ("swarm testing", Groce et al. 2012), because a world where everything fails at once explores little.
import type { Prng } from '../../src/base/prng.ts'

export type NetworkOdds = { lost: number; doubled: number; late: number }
/** Odds per call, but for the network between it and us. */
export type ProviderOdds = {
  tryAgain: number
  slow: number
  declines: number
  /** The buyer has something to do first. */
  acts: number
  /** It does what it is asked and says failed. */
  lies: number
  /** No webhook tells of a change. */
  silent: number
}

export type Plan = {
  cells: number
  processesPerCell: number
  lanes: number
  clients: number
  intentsPerClient: number
  shops: number
  skus: number
  locations: number
  network: NetworkOdds
  /** Odds per statement that its session is lost there. */
  sessionLost: number
  /** Odds per statement that it takes long, and how long at most. */
  slowStatement: number
  slowStatementMsMax: number
  /** Odds per second of true time, for each process or clock. */
  crashes: number
  clockJumps: number
  /** Odds per batch that the sweeper does not run when it should. */
  sweeperStalls: number
  provider: ProviderOdds
  providerNetwork: NetworkOdds
  /** Odds per second that a day is over, after which the provider has forgotten its keys. */
  days: number
  /** Odds per second that a week is over: what was set aside runs out, now and then unheard, and refunds come back. */
  weeks: number
  /** Odds per second that somebody drops what is dead; and at the end, that he does so rather than try it again. */
  drops: number
  /** Odds per event that a consumer gets it twice, and per step that it crashes half-way. */
  eventDoubled: number
  consumerCrash: number
  /** Odds of each kind of intent; only their ratios count. */
  mix: Record<IntentKind, number>
  /** The longest pause of a client between two intents. */
  thinkMsMax: number
}

export type IntentKind =
  | 'order'
  | 'order from hold'
  | 'hold'
  | 'extend'
  | 'release'
  | 'cancel'
  | 'adjust'
  | 'policy'
  | 'reused key'
  | 'exchange'
  | LifeKind

/** What happens to orders after they were placed. */
export type LifeKind =
  | 'pay'
  | 'capture'
  | 'ship'
  | 'deliver'
  | 'short pick'
  | 'return'
  | 'receive'
  | 'refund'
  | 'review'
  | 'edit'
  | 'pick'
  | 'pack'
  | 'dispatch'
  | 'give up'

export function makePlan(random: Prng): Plan {
  const odds = (off: number, max: number): number => (random.chance(off) ? 0 : random.next() * max)
  const weight = (most: number): number => (random.chance(0.2) ? 0 : 1 + random.next() * most)
  return {
    cells: 1,
    processesPerCell: random.chance(0.8) ? 2 : 1,
    lanes: random.between(1, 3),
    clients: random.between(2, 8),
    intentsPerClient: random.between(4, 20),
    shops: random.chance(0.25) ? 2 : 1,
    skus: random.between(1, 4),
    locations: random.between(1, 3),
    network: { lost: odds(0.4, 0.15), doubled: odds(0.4, 0.2), late: odds(0.4, 0.2) },
    sessionLost: odds(0.5, 0.02),
    slowStatement: odds(0.4, 0.1),
    slowStatementMsMax: random.pick([5, 50, 1_500]),
    crashes: odds(0.5, 1.5),
    clockJumps: odds(0.5, 1),
    sweeperStalls: odds(0.3, 1),
    provider: {
      tryAgain: odds(0.5, 0.5),
      slow: odds(0.5, 0.5),
      declines: odds(0.4, 0.4),
      acts: odds(0.5, 0.4),
      lies: odds(0.6, 0.3),
      silent: odds(0.3, 1),
    },
    providerNetwork: { lost: odds(0.4, 0.3), doubled: odds(0.4, 0.3), late: odds(0.4, 0.3) },
    days: odds(0.8, 0.5),
    eventDoubled: odds(0.4, 0.3),
    consumerCrash: odds(0.5, 0.2),
    mix: {
      order: 2 + random.next() * 6,
      'order from hold': weight(4),
      hold: weight(6),
      extend: weight(2),
      release: weight(2),
      cancel: weight(3),
      adjust: weight(3),
      policy: weight(1),
      'reused key': weight(3),
      pay: weight(3),
      capture: weight(1),
      ship: weight(10),
      deliver: weight(1),
      'short pick': weight(2),
      return: weight(4),
      receive: weight(4),
      refund: weight(3),
      review: weight(2),
      pick: weight(6),
      pack: weight(6),
      dispatch: weight(6),
      edit: weight(2),
      'give up': weight(2),
      exchange: weight(2),
    },
    thinkMsMax: random.pick([1, 20, 400]),
    weeks: odds(0.6, 0.4),
    drops: odds(0.4, 1),
  }
}
