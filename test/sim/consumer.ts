// A reader of the log and a consumer of its events, as DESIGN.md's protocol says, over the memory database: reading never
// skips, an effect and the position are stored in one transaction, and version n+1 of a subject is applied only after n.
import type { LoggedEvent, MemoryDatabase } from '../../src/modules/orders/memory-database.ts'

/** Answers the last number up to which everything that will ever commit is visible. `pause` passes between statements. */
export async function settledUpTo(database: MemoryDatabase, pause: () => Promise<void>): Promise<number> {
  const last = database.lastSeq
  await pause()
  const writers = [...database.writers]
  while (writers.some((writer) => database.writers.has(writer))) await pause()
  return last
}

/** What a consumer stores; `units` is its effect: the sum of all moves, by stock row. */
export type Stored = {
  position: number
  inbox: Set<number>
  versions: Map<string, number>
  units: Map<number, number[]>
}

export function createConsumer(applied: (event: LoggedEvent) => void) {
  const stored: Stored = { position: 0, inbox: new Set(), versions: new Map(), units: new Map() }

  /** One transaction: the effect, the inbox and the position, or nothing. `gap`: an earlier version is still to come. */
  function receive(event: LoggedEvent): 'applied' | 'known' | 'gap' {
    const subject = `${event.shopId} ${event.subject}`
    const version = stored.versions.get(subject) ?? 0
    if (stored.inbox.has(event.seq)) return 'known'
    if (event.subjectVersion <= version) return 'known'
    if (event.subjectVersion > version + 1) return 'gap'
    stored.inbox.add(event.seq)
    stored.versions.set(subject, event.subjectVersion)
    stored.position = Math.max(stored.position, event.seq)
    addMoves(stored.units, event.moves)
    applied(event)
    return 'applied'
  }
  return { receive, stored }
}

function addMoves(units: Map<number, number[]>, moves: readonly number[]): void {
  for (let at = 0; at < moves.length; at += 5) {
    const sums = units.get(moves[at]!) ?? [0, 0, 0, 0]
    units.set(
      moves[at]!,
      sums.map((sum, column) => sum + moves[at + 1 + column]!),
    )
  }
}
