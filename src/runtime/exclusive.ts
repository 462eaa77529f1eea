// Things that one process at a time may work on: advisory locks on a session of their own, which PostgreSQL lets go when the
// process dies, so that another can go on at once.
import type { Session } from './pg-session.ts'
import { textArray } from './pg-values.ts'

export type Held = {
  name: string
  /** False once the session is lost: somebody else may have it by now. */
  isHeld(): boolean
  release(): Promise<void>
}

export type Exclusive = {
  /** Of these names those that nobody has, now held. Names are short; two may share a lock, and then wait for each other. */
  tryHold(names: readonly string[]): Promise<Held[]>
  close(): Promise<void>
}

const tryHoldSql = `
  select name from unnest($2::text[]) name where pg_try_advisory_lock(hashtext($1), hashtext(name))`
const releaseSql = 'select pg_advisory_unlock(hashtext($1), hashtext($2))'

/** `kind` tells locks of one use from those of others. */
export function openExclusive(kind: string, open: () => Promise<Session>): Exclusive {
  let opened: Promise<Session> | undefined

  async function session(): Promise<Session> {
    const present = await opened?.catch(() => undefined)
    if (present && !present.lost) return present
    opened = open()
    return opened
  }

  return {
    async tryHold(names) {
      if (names.length === 0) return []
      const on = await session()
      const rows = await on.run<{ name: string }>(tryHoldSql, [kind, textArray(names)])
      return rows.map(({ name }) => ({
        name,
        isHeld: () => !on.lost,
        release: async () => void (on.lost || (await on.run(releaseSql, [kind, name]))),
      }))
    },
    async close() {
      await (await opened?.catch(() => undefined))?.close()
    },
  }
}
