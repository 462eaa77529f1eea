// Which cells there are, as each of them has heard by now: one is added, one drains and is removed, and the others hear of it later.
import type { CellName } from '../../../src/base/ids.ts'
import type { Prng } from '../../../src/base/prng.ts'
import type { CellState } from '../../../src/base/topology.ts'

type Member = { joinedAt: number; drainsAt: number; removedAt: number }

const hearsMsMax = 3_000

export type Members = ReturnType<typeof createMembers>

export function createMembers(names: readonly CellName[], now: () => number, random: Prng) {
  const never = Number.POSITIVE_INFINITY
  const members = new Map<CellName, Member>(
    names.map((name) => [name, { joinedAt: 0, drainsAt: never, removedAt: never }]),
  )
  const delays = new Map<string, number>()
  const asking = new Set<CellName>()

  function delayOf(self: CellName, other: CellName): number {
    if (self === other) return 0
    const pair = `${self} ${other}`
    const delay = delays.get(pair) ?? random.next() * hearsMsMax
    delays.set(pair, delay)
    return delay
  }

  /** Of `other`, as `self` knows it; undefined when it has not heard of it yet. */
  function stateOf(self: CellName, other: CellName): CellState | undefined {
    const { joinedAt, drainsAt, removedAt } = members.get(other)!
    const heardUpTo = now() - (joinedAt > 0 || drainsAt < never ? delayOf(self, other) : 0)
    if (heardUpTo < joinedAt) return undefined
    return heardUpTo >= removedAt ? 'removed' : heardUpTo >= drainsAt ? 'draining' : 'active'
  }

  return {
    stateOf,
    isActive: (self: CellName, other: CellName): boolean => stateOf(self, other) === 'active',
    isThere: (self: CellName, other: CellName): boolean => ['active', 'draining'].includes(stateOf(self, other) ?? ''),
    othersOf: (self: CellName): CellName[] =>
      [...members.keys()].filter((other) => {
        const state = other === self ? undefined : stateOf(self, other)
        return state === 'active' || state === 'draining'
      }),
    add(name: CellName): void {
      members.set(name, { joinedAt: now(), drainsAt: never, removedAt: never })
    },
    drain(name: CellName): void {
      members.get(name)!.drainsAt = now()
    },
    activate(name: CellName): void {
      members.get(name)!.drainsAt = never
    },
    remove(name: CellName): void {
      members.get(name)!.removedAt = now()
    },
    isRemoved: (name: CellName): boolean => members.get(name)!.removedAt <= now(),
    /** It asks the others for the last time, until it is removed or has to stay. */
    asks(name: CellName, isAsking: boolean): void {
      if (isAsking) asking.add(name)
      else asking.delete(name)
    },
    /** Nobody may be able to ask it any more what it was sent. */
    mayBeGone: (name: CellName): boolean => asking.has(name) || members.get(name)!.removedAt <= now(),
  }
}
