// Where locations have their homes, as each cell has heard by now: one is moved, and the others hear of it later, the last move before
// the one before it as well.
import type { CellName, LocationCode } from '../../../src/base/ids.ts'
import type { Prng } from '../../../src/base/prng.ts'

export type Home = { home: CellName; earlier: readonly CellName[] }
type Move = Home & { heardAt: ReadonlyMap<CellName, number> }

const hearsMsMax = 3_000

export type Homes = ReturnType<typeof createHomes>

export function createHomes(
  locations: readonly LocationCode[],
  names: readonly CellName[],
  { now, random }: { now(): number; random: Prng },
) {
  const never: Move = { home: names[0]!, earlier: [], heardAt: new Map() }
  const moves = new Map(locations.map((code, at): [LocationCode, Move[]] => [code, [{ ...never, home: names[at]! }]]))
  return {
    of: (self: CellName, code: LocationCode): Home =>
      moves.get(code)!.findLast(({ heardAt }) => (heardAt.get(self) ?? 0) <= now())!,
    /** One of the locations gets another home. */
    move(): Home & { code: LocationCode } {
      const code = random.pick(locations)
      const before = moves.get(code)!.at(-1)!
      const home = random.pick(names.filter((name) => name !== before.home))
      const heardAt = new Map(names.map((name) => [name, now() + random.next() * hearsMsMax]))
      heardAt.set(random.pick(names), now())
      const moved = { home, earlier: [...new Set([...before.earlier, before.home])], heardAt }
      moves.get(code)!.push(moved)
      return { code, ...moved }
    },
    random,
  }
}
