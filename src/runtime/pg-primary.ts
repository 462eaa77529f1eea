// Which server a process writes to, where its URL names several: the one that is no standby, and of two that say so the one of
// the later timeline. A process follows one primary at a time: once a promotion is seen, no session of an earlier timeline is
// opened, and those that are open are lost at once, so that nothing is committed where the gate does not look.
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { type DatabaseUrl, serversOf } from './database-url.ts'
import type { ServerLife } from './gate-state.ts'
import { DatabaseUnavailable } from './pg-failure.ts'
import { openSession, type Session, type SessionOptions } from './pg-session.ts'

export type Primary = {
  open(options: Omit<SessionOptions, 'url'>): Promise<Session>
  /** Where the newest session is; the first of all before there was one. */
  readonly url: DatabaseUrl
}

export function followPrimary(url: DatabaseUrl): Primary {
  const servers = serversOf(url)
  const sessions = new Set<Session>()
  let newest: ServerLife | undefined
  let present = servers[0]!

  function admit({ session, server }: Opened): Session {
    if (newest !== undefined && isEarlier(session.life, newest)) {
      session.abandon('stale_primary', 'another server was promoted since')
      throw new DatabaseUnavailable('stale_primary', 'another server was promoted since')
    }
    for (const other of sessions) {
      if (other.life !== session.life) other.abandon('stale_primary', 'another server was promoted')
      if (other.lost) sessions.delete(other)
    }
    sessions.add(session)
    newest = session.life
    present = server
    return session
  }

  return {
    async open(options) {
      return admit(await latestOf(servers.map((server) => openAt(server, options))))
    },
    get url() {
      return present
    },
  }
}

type Opened = { session: Session; server: DatabaseUrl }

const openAt = async (server: DatabaseUrl, options: Omit<SessionOptions, 'url'>): Promise<Opened> => ({
  session: await openSession({ ...options, url: server }),
  server,
})

/** Of all that can be opened, the latest timeline's; one that does not answer is not waited for long once another has. */
async function latestOf(opening: readonly Promise<Opened>[]): Promise<Opened> {
  if (opening.length === 1) return opening[0]!
  const opened: Opened[] = []
  const noted = opening.map((one) => one.then((found) => void opened.push(found)))
  try {
    await Promise.any(noted)
  } catch (error) {
    throw (error as AggregateError).errors.toSorted(byUse)[0]
  }
  const grace = new AbortController()
  const late = delay(limits.databaseOthersMsMax, undefined, { signal: grace.signal }).catch(() => {})
  await Promise.race([Promise.allSettled(noted), late])
  grace.abort()
  const latest = opened.reduce((best, one) => (isEarlier(best.session.life, one.session.life) ? one : best))
  for (const one of opening) {
    one.then(
      (other) => (other === latest ? undefined : other.session.close()),
      () => {},
    )
  }
  return latest
}

/** That a server is a standby is no news while another cannot be reached. */
const byUse = (a: unknown, b: unknown): number => useOf(a) - useOf(b)
const useOf = (error: unknown): number => ((error as Partial<DatabaseUnavailable>).code === 'standby' ? 1 : 0)

/** Of one system, as the timeline's eight digits say; different systems have no order. */
function isEarlier(life: ServerLife, than: ServerLife): boolean {
  const [system, timeline = ''] = life.split('/')
  const [otherSystem, otherTimeline = ''] = than.split('/')
  return system === otherSystem && timeline < otherTimeline
}
