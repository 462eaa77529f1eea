// Which lives of each cell's database have been heard of. Two that speak at the same time are two databases under one name,
// such as a copied folder that was started beside its original, or an old primary that came back.
import type { CellName, Uuid } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'

export type PeerLives = {
  /**
   * Of what a cell says at `saidAt`, by its own clock. `twice`: a newer life has spoken before. `late`: that too, but it was
   * said before the newer one spoke. A new life when the old is silent is a restore or a promotion; the newer is the later to come.
   */
  saw(cell: CellName, incarnation: Uuid, saidAt: Instant): 'present' | 'late' | 'twice'
  /** Not the life that has greeted last: what it says may be of what the cell has forgotten since. Undefined: it says none. */
  isOther(cell: CellName, incarnation: string | undefined): boolean
}

type Life = { incarnation: Uuid; since: Instant }

export function rememberPeerLives(): PeerLives {
  const byCell = new Map<CellName, Life[]>()
  return {
    isOther(cell, incarnation) {
      const present = byCell.get(cell)?.at(-1)
      return present !== undefined && incarnation !== undefined && present.incarnation !== incarnation
    },
    saw(cell, incarnation, saidAt) {
      const lives = byCell.get(cell) ?? []
      const present = lives.at(-1)
      if (present?.incarnation === incarnation) return 'present'
      if (present && lives.some((life) => life.incarnation === incarnation)) {
        return saidAt > present.since ? 'twice' : 'late'
      }
      byCell.set(cell, [...lives, { incarnation, since: saidAt }].slice(-limits.peerLivesRememberedMax))
      return 'present'
    },
  }
}
