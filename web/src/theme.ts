// Dark or light: the system's choice unless somebody chose here, which this browser remembers.
import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const name = 'holdfast-theme'
const listeners = new Set<() => void>()
const system = matchMedia('(prefers-color-scheme: dark)')
let chosen = read()

function read(): Theme {
  try {
    const kept = localStorage.getItem(name)
    return kept === 'light' || kept === 'dark' ? kept : 'system'
  } catch {
    return 'system'
  }
}

function show(): void {
  if (chosen === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = chosen
  for (const listener of listeners) listener()
}

export function chooseTheme(theme: Theme): void {
  chosen = theme
  try {
    localStorage.setItem(name, theme)
  } catch {
    // Then it lasts as long as the page.
  }
  show()
}

system.addEventListener('change', show)
show()

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, () => chosen)

export const useIsDark = (): boolean =>
  useSyncExternalStore(subscribe, () => (chosen === 'system' ? system.matches : chosen === 'dark'))
