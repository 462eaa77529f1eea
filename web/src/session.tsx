// Who is signed in, with which key, and the cells that are talked to. The key stays in this tab (sessionStorage) and goes to the
// cells alone. The development profile signs in by itself.
import type { Session } from '@holdfast/sdk'
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { type Cell, developmentKey, listCells, readSession } from './cells.ts'
import { createLive, type Live, type LiveState } from './live.ts'

export type SignedIn = {
  key: string
  session: Session
  scopes: ReadonlySet<string>
  live: Live
  isDevelopment: boolean
  signOut(): void
}

const keyName = 'holdfast-key'
const signedOutName = 'holdfast-signed-out'
const Context = createContext<SignedIn | null>(null)

export function useSession(): SignedIn {
  const found = useContext(Context)
  if (!found) throw new Error('useSession outside of SignedInArea')
  return found
}

export function useLive(): LiveState {
  const { live } = useSession()
  return useSyncExternalStore(live.pulses.subscribe, live.state)
}

/** Changes when the topology does, not with every pulse. */
export function useCells(): readonly Cell[] {
  const { cells } = useLive()
  const names = cells.map(({ cell }) => `${cell.name} ${cell.url} ${cell.state}`).join('\n')
  // biome-ignore lint/correctness/useExhaustiveDependencies: the names say all that the cells do
  return useMemo(() => cells.map(({ cell }) => cell), [names])
}

export type Entry = { key: string; session: Session; cells: Cell[] }

/** Throws what the cell answers: `unauthorized` for a key that is none. */
export async function enter(key: string): Promise<Entry> {
  const session = await readSession(key)
  const self: Cell = {
    name: session.cell,
    region: session.cell.replace(/\d+$/, ''),
    url: location.origin,
    state: 'active',
  }
  const cells = session.scopes.includes('cells:read') ? await listCells([self], key) : [self]
  sessionStorage.setItem(keyName, key)
  sessionStorage.removeItem(signedOutName)
  return { key, session, cells }
}

/** The key that was used before in this tab, else the one that the development profile tells. */
export async function knownKey(): Promise<string | null> {
  const kept = sessionStorage.getItem(keyName)
  if (kept !== null) return kept
  return sessionStorage.getItem(signedOutName) === null ? developmentKey() : null
}

export function SignedInArea({ entry, onLeave, children }: { entry: Entry; onLeave(): void; children: ReactNode }) {
  const [value] = useState((): SignedIn => {
    const scopes = new Set(entry.session.scopes)
    return {
      ...entry,
      scopes,
      live: createLive(entry.key, entry.cells, scopes),
      isDevelopment: entry.session.profile === 'development',
      signOut() {
        sessionStorage.removeItem(keyName)
        sessionStorage.setItem(signedOutName, 'yes')
        onLeave()
      },
    }
  })
  useEffect(() => {
    const { live } = value
    // A browser opens six connections to a host: tabs that nobody looks at give theirs back.
    const follow = () => (document.hidden ? live.stop() : live.start())
    follow()
    document.addEventListener('visibilitychange', follow)
    return () => {
      document.removeEventListener('visibilitychange', follow)
      live.stop()
    }
  }, [value])
  return <Context value={value}>{children}</Context>
}
