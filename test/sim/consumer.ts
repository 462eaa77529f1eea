// A reader of the log and a consumer of its events, as DESIGN.md's protocol says, over the memory database. What a consumer
// takes is decided by the real inbox; its statements run on the maps that stand for its tables.
import type { Uuid } from '../../src/base/ids.ts'
import type { LoggedEvent, MemoryDatabase } from '../../src/modules/orders/memory-database.ts'
import type { LogEvent, SubjectGap } from '../../src/runtime/event-log.ts'
import { takeFresh } from '../../src/runtime/inbox.ts'
import type { Session } from '../../src/runtime/pg-session.ts'

/** Answers the last number up to which everything that will ever commit is visible. `pause` passes between statements. */
export async function settledUpTo(database: MemoryDatabase, pause: () => Promise<void>): Promise<number> {
  const last = database.lastSeq
  await pause()
  const writers = [...database.writers]
  while (writers.some((writer) => database.writers.has(writer))) await pause()
  return last
}

/** What a consumer stores; `units` is its effect: the sum of all moves, by stock row. */
type Stored = {
  position: number
  inbox: Set<string>
  versions: Map<string, number>
  units: Map<number, number[]>
}

export function createConsumer(applied: (event: LoggedEvent) => void) {
  const stored: Stored = { position: 0, inbox: new Set(), versions: new Map(), units: new Map() }

  /** One transaction: effects, inbox and position, or nothing. `reread` finds what is missing between versions. */
  async function receive(
    delivered: readonly LoggedEvent[],
    upTo: { position: number; reread: (gaps: readonly SubjectGap[]) => LoggedEvent[] },
  ): Promise<void> {
    const events = new Map<string, LoggedEvent>()
    const asLogged = (event: LoggedEvent): LogEvent => {
      events.set(String(event.seq), event)
      return { ...event, eventId: String(event.seq) as Uuid, data: '' }
    }
    const { session, commit } = inboxSession(stored)
    const reread = async (gaps: readonly SubjectGap[]) => upTo.reread(gaps).map(asLogged)
    const fresh = await takeFresh(session, 'consumer', delivered.map(asLogged), reread)
    commit()
    for (const { eventId } of fresh) {
      const event = events.get(eventId)!
      addMoves(stored.units, event.moves)
      applied(event)
    }
    stored.position = upTo.position
  }
  return { receive, stored }
}

/** The inbox's three statements on its two tables; what they write is seen by others at `commit`. */
function inboxSession(stored: Stored): { session: Session; commit(): void } {
  const inbox: string[] = []
  const versions = new Map<string, number>()
  const versionOf = (subject: string) => versions.get(subject) ?? stored.versions.get(subject)

  async function run(text: string, params: readonly unknown[]): Promise<unknown[]> {
    if (text.includes('select subject, version from runtime.inbox_subjects')) {
      return texts(params[1]).flatMap((subject) => {
        const version = versionOf(subject)
        return version === undefined ? [] : [{ subject, version }]
      })
    }
    if (text.includes('insert into runtime.inbox_subjects')) {
      const numbers = texts(params[2]).map(Number)
      for (const [at, subject] of texts(params[1]).entries()) {
        if ((versionOf(subject) ?? 0) < numbers[at]!) versions.set(subject, numbers[at]!)
      }
      return []
    }
    if (text.includes('insert into runtime.inbox (')) {
      const fresh = texts(params[1]).filter((id) => !stored.inbox.has(id))
      inbox.push(...fresh)
      return fresh.map((eventId) => ({ eventId }))
    }
    throw new Error(`the simulator does not know the inbox's statement: ${text}`)
  }

  function commit(): void {
    for (const id of inbox) stored.inbox.add(id)
    for (const [subject, version] of versions) stored.versions.set(subject, version)
  }
  return { session: { run } as unknown as Session, commit }
}

/** The items of an array literal, quoted or bare. */
const texts = (literal: unknown): string[] =>
  String(literal)
    .slice(1, -1)
    .split(',')
    .filter((item) => item !== '')
    .map((item) => (item.startsWith('"') ? (JSON.parse(item) as string) : item))

function addMoves(units: Map<number, number[]>, moves: readonly number[]): void {
  for (let at = 0; at < moves.length; at += 5) {
    const sums = units.get(moves[at]!) ?? [0, 0, 0, 0]
    units.set(
      moves[at]!,
      sums.map((sum, column) => sum + moves[at + 1 + column]!),
    )
  }
}
