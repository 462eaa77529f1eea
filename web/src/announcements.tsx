// What was done, said once: shown for a while, and read out politely.
import { useSyncExternalStore } from 'react'
import { Icon } from './icons.tsx'

const shownMs = 5000
const listeners = new Set<() => void>()
let text = ''
let timer: ReturnType<typeof setTimeout> | undefined

function say(next: string): void {
  text = next
  for (const listener of listeners) listener()
}

export function announce(what: string): void {
  clearTimeout(timer)
  say(what)
  timer = setTimeout(() => say(''), shownMs)
}

export function Announcements() {
  const said = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => text,
  )
  return (
    <div className="announcements" role="status" aria-live="polite">
      {said && (
        <p>
          <Icon name="check" />
          {said}
        </p>
      )}
    </div>
  )
}
