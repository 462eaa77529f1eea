// Which lives of each cell's database have been heard of, and which of them is the present one. Two that speak at the same time are two
// databases under one name, such as a copied folder that was started beside its original, or an old primary that came back.
import type { CellName, Uuid } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'

/** As a greeting tells it: `ancestors` are the lives of the same database before it, oldest first. */
export type SaidLife = { incarnation: Uuid; ancestors: readonly Uuid[]; now: Instant }

export type PeerLives = {
  /**
   * Of what a cell says, at `now` by its own clock. `twice`: a newer life has spoken before. `late`: that too, but it was said before the
   * newer one spoke. A life that stands among another's ancestors is the older one, whichever was heard first, so that a process that
   * has just begun takes no old primary for the present one. Of two of which neither is the other's, the later to come is the newer.
   */
  saw(cell: CellName, said: SaidLife): 'present' | 'late' | 'twice'
  /** Not the life that has greeted last: what it says may be of what the cell has forgotten since. Undefined: it says none. */
  isOther(cell: CellName, incarnation: string | undefined): boolean
}

/** `older`: those before it, heard or told, the latest last. */
type Present = { incarnation: Uuid; since: Instant; older: readonly Uuid[] }

export function rememberPeerLives(): PeerLives {
  const byCell = new Map<CellName, Present>()
  return {
    isOther(cell, incarnation) {
      const present = byCell.get(cell)
      return present !== undefined && incarnation !== undefined && present.incarnation !== incarnation
    },
    saw(cell, { incarnation, ancestors, now }) {
      const known = byCell.get(cell)
      const isSame = known?.incarnation === incarnation
      if (known && !isSame && known.older.includes(incarnation) && !ancestors.includes(known.incarnation))
        return now > known.since ? 'twice' : 'late'
      const before = known ? [...known.older, known.incarnation] : []
      const older = new Set([...before, ...ancestors])
      older.delete(incarnation)
      byCell.set(cell, {
        incarnation,
        since: isSame ? known.since : now,
        older: [...older].slice(-limits.peerLivesRememberedMax),
      })
      return 'present'
    },
  }
}
