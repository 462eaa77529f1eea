// The pages by name, path and key, and the keys that work everywhere: `g` and a letter goes to a page.
import type { IconName } from './icons.tsx'

export type Place = {
  path: string
  name: string
  letter: string
  icon: IconName
  /** Any of them lets a key see the page; none: every key does. */
  scopes: readonly string[]
  isForDevelopment?: boolean
}

export const places: readonly Place[] = [
  { path: '/', name: 'Now', letter: 'n', icon: 'now', scopes: [] },
  { path: '/orders', name: 'Orders', letter: 'o', icon: 'orders', scopes: ['orders:read'] },
  { path: '/stock', name: 'Stock', letter: 's', icon: 'stock', scopes: ['stock:read'] },
  { path: '/payments', name: 'Payments', letter: 'p', icon: 'payments', scopes: ['ledger:read', 'orders:read'] },
  { path: '/dead-letters', name: 'Dead letters', letter: 'd', icon: 'letters', scopes: ['dead-letters:read'] },
  { path: '/webhooks', name: 'Webhooks', letter: 'w', icon: 'webhooks', scopes: ['webhooks:read'] },
  { path: '/chaos', name: 'Chaos', letter: 'c', icon: 'chaos', scopes: ['cells:write'], isForDevelopment: true },
  { path: '/health', name: 'Health', letter: 'h', icon: 'health', scopes: ['cells:read'] },
]

export const placesFor = (scopes: ReadonlySet<string>, isDevelopment: boolean): Place[] =>
  places.filter(
    (place) =>
      (isDevelopment || !place.isForDevelopment) &&
      (place.scopes.length === 0 || place.scopes.some((scope) => scopes.has(scope))),
  )

export type Pressed = { key: string; isTyping: boolean; hasModifier: boolean }
type Meaning =
  | { kind: 'go'; path: string }
  | { kind: 'help' }
  | { kind: 'prefix' }
  | { kind: 'step'; by: 1 | -1 }
  | null

/** What a key means after the one before it, if that was `g` a moment ago. */
export function meaningOf({ key, isTyping, hasModifier }: Pressed, afterG: boolean, among: readonly Place[]): Meaning {
  if (isTyping || hasModifier) return null
  if (afterG) {
    const place = among.find(({ letter }) => letter === key)
    if (place) return { kind: 'go', path: place.path }
  }
  if (key === 'g') return { kind: 'prefix' }
  if (key === '?') return { kind: 'help' }
  if (key === 'j') return { kind: 'step', by: 1 }
  if (key === 'k') return { kind: 'step', by: -1 }
  return null
}
