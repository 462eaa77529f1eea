// What is done to the cells and to the network between them, and when: everything that a seed decides about a run.
import { type Prng, prng } from '../../../src/base/prng.ts'

export const cells = ['eu1', 'us1', 'ap1'] as const
export type Cell = (typeof cells)[number]

/** How a way is closed: connections end, or they stand and what is sent is swallowed. */
type Manner = 'cut' | 'silent'

export type Fault =
  /** From all others; its own clients reach it. */
  | { kind: 'isolate'; cell: Cell; manner: Manner; forMs: number }
  | { kind: 'part'; cells: Pair; manner: Manner; forMs: number }
  /** What the first sends does not reach the second; the other way all is well. */
  | { kind: 'one_way'; cells: Pair; forMs: number }
  | { kind: 'flap'; cells: Pair; everyMs: number; forMs: number }
  | { kind: 'slow'; cells: Pair; times: number; bytesPerSecond: number; forMs: number }
  /** kill -9 of its process, of its PostgreSQL, or of both. */
  | { kind: 'kill'; cell: Cell; what: 'process' | 'postgres' | 'all' }
  /** SIGSTOP of its process and its PostgreSQL. */
  | { kind: 'freeze'; cell: Cell; forMs: number }
  /** By the operator's command. */
  | { kind: 'restart'; cell: Cell }
export type Pair = readonly [Cell, Cell]

/** At once; then the network heals, and nothing is done for a while. */
export type Step = { faults: Fault[]; thenMs: number }

const networkFaults = ['isolate', 'part', 'one_way', 'flap', 'slow'] as const
const processFaults = ['kill', 'freeze', 'restart'] as const
const kinds: readonly Fault['kind'][] = [...networkFaults, ...processFaults]
export const stepsARound = kinds.length

/** Endless; every round has each kind of fault once at least. */
export function* stepsOf(seed: number, forMsMax: number): Generator<Step, never> {
  const random = prng(seed)
  const forMs = () => random.between(Math.ceil(forMsMax / 3), forMsMax)
  for (;;) {
    for (const kind of shuffled(kinds, random)) {
      const faults = [faultOf(kind, random, forMs())]
      const isOfNetwork = networkFaults.some((one) => one === kind)
      if (isOfNetwork && random.chance(0.3)) faults.push(faultOf(random.pick(processFaults), random, forMs()))
      yield { faults, thenMs: random.between(0, Math.ceil(forMsMax / 2)) }
    }
  }
}

function faultOf(kind: Fault['kind'], random: Prng, forMs: number): Fault {
  const [cell, other] = shuffled(cells, random) as [Cell, Cell]
  const pair = [cell, other] as const
  const manner = random.chance(0.5) ? 'cut' : 'silent'
  switch (kind) {
    case 'isolate':
      return { kind, cell, manner, forMs }
    case 'part':
      return { kind, cells: pair, manner, forMs }
    case 'one_way':
      return { kind, cells: pair, forMs }
    case 'flap':
      return { kind, cells: pair, everyMs: random.between(100, 1_500), forMs }
    case 'slow':
      return { kind, cells: pair, times: random.between(2, 8), bytesPerSecond: random.between(20, 500) * 1_000, forMs }
    case 'kill':
      return { kind, cell, what: random.pick(['process', 'postgres', 'all'] as const) }
    case 'freeze':
      return { kind, cell, forMs }
    case 'restart':
      return { kind, cell }
  }
}

function shuffled<T>(items: readonly T[], random: Prng): T[] {
  const left = [...items]
  return items.map(() => left.splice(random.between(0, left.length - 1), 1)[0]!)
}
