// Where an adjustment is decided: at the home of its location, as far as this cell has heard, unless its key is decided by another that
// was the home before. Which cells know a key is the real code's to find out.
import type { CellName } from '../../../src/base/ids.ts'
import type { Command, IdempotencyKey } from '../../../src/modules/orders/types.ts'
import type { Home } from './homes.ts'
import { type CellRequest, shopId } from './node.ts'
import { OutOfReach, type SimPeers } from './peers.ts'
import type { Ground } from './process.ts'

type Engine = { rememberKey(command: Command, key: IdempotencyKey): Promise<void> }

export function placingOf({ world, name, durable, isNotNow }: Ground, peers: SimPeers, { rememberKey }: Engine) {
  const { answer, takeKey } = world.system.openLeftKeys({
    ...{ cell: name, peers, rememberKey, isOutOfReach: isNotNow, database: null as never },
    findKey: async (shop, hash) => durable.database.tables.keys.get(`${shop} ${hash}`),
    together: (_, work) => async (item) => (await work([item]))[0]!,
  })

  const placeOf = ({ command }: CellRequest): Home =>
    world.homes.of(name, (command as Command & { kind: 'adjust_stock' }).adjustments[0]!.location)

  return {
    answer,
    homeOf: (request: CellRequest): CellName => (request.isPlacedHere ? name : placeOf(request).home),
    /** Undefined: this cell. */
    async takerOf(request: CellRequest): Promise<CellName | undefined> {
      const { home, earlier } = placeOf(request)
      const others = new Set(request.isPlacedHere || earlier.length > 0 ? [home, ...earlier] : [])
      others.delete(name)
      if (others.size === 0) return undefined
      const taker = await takeKey({ shopId, hash: request.key, request: request.hash }, [...others])
      if (typeof taker === 'object') throw new OutOfReach(home)
      return taker
    },
  }
}
