// When a cell compares its totals with the others': frozen, with each of them before it may sell; else once with each life of
// each, so that a cell that was set back without anybody saying so finds out, and what a cut log did not tell is credited.
import type { CellName, Uuid } from './base/ids.ts'
import { limits } from './base/limits.ts'
import type { Comparing } from './modules/stock/comparing.ts'
import { every, type Recurring } from './runtime/every.ts'
import type { Log } from './runtime/log.ts'
import type { Peers } from './runtime/peers.ts'
import type { Standing } from './runtime/standing.ts'

export type ComparisonsOptions = {
  comparing: Pick<Comparing, 'takeOver' | 'isBehind'>
  peers: Pick<Peers, 'others' | 'isUp' | 'lifeOf'>
  standing: Pick<Standing, 'frozen' | 'noteCompared' | 'foundSetBack'>
  log: Pick<Log, 'info'>
  onError(error: unknown): void
}

/** One round over all that are up; to be called again and again. */
export function createComparisons({ comparing, peers, standing, log, onError }: ComparisonsOptions) {
  const compared = new Map<CellName, Uuid>()

  async function compareWith(peer: CellName): Promise<void> {
    const life = peers.lifeOf(peer)
    if (life === null) return // not heard yet
    if (standing.frozen) {
      if (standing.frozen.compared.includes(peer)) return
      const taken = await comparing.takeOver(peer)
      await standing.noteCompared(peer)
      log.info({ peer, ...taken }, 'totals were compared')
      compared.delete(peer)
      return
    }
    if (compared.get(peer) === life) return
    if (await comparing.isBehind(peer)) await standing.foundSetBack()
    else compared.set(peer, life)
  }

  return async (): Promise<void> => {
    for (const peer of peers.others().filter(peers.isUp)) await compareWith(peer).catch(onError)
  }
}

export const startComparisons = (options: ComparisonsOptions): Recurring =>
  every(limits.compareEveryMs, createComparisons(options), options.onError)
