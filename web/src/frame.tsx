// What stands around every page: where one is and can go, the cells and how they are, and the keys that work everywhere.
import { type ReactNode, useId, useLayoutEffect, useRef, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { Icon, type IconName } from './icons.tsx'
import { useModal } from './modal.ts'
import { meaningOf, type Place, placesFor } from './navigation.ts'
import { useLive, useSession } from './session.tsx'
import { chooseTheme, type Theme, useTheme } from './theme.ts'
import { wordsOf } from './world-map.tsx'

const prefixMs = 1200

export function Frame({ children }: { children: ReactNode }) {
  const { scopes, isDevelopment } = useSession()
  const known = placesFor(scopes, isDevelopment)
  const [isHelpOpen, setHelpOpen] = useState(false)
  useKeys(known, () => setHelpOpen(true))
  const menu = useId()
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="bar">
        <button type="button" className="icon-button menu-button" popoverTarget={menu} aria-label="Menu">
          <Icon name="menu" size={20} />
        </button>
        <Link href="/" className="brand">
          <Mark />
          Holdfast
        </Link>
        <CellPills />
        <div className="bar-end">
          <ThemeSwitch />
          <Account />
        </div>
      </header>
      <nav className="nav" id={menu} popover="auto" aria-label="Pages">
        <ul>
          {known.map((place) => (
            <NavItem key={place.path} place={place} menu={menu} />
          ))}
        </ul>
        <p className="nav-hint">
          Press <kbd>?</kbd> for keys
        </p>
      </nav>
      <main id="main" className="main">
        {children}
      </main>
      {isHelpOpen && <Help places={known} onClose={() => setHelpOpen(false)} />}
    </div>
  )
}

function Mark() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent-solid)" />
      <path d="M10 7v18M22 7v18M10 16h12" stroke="#fff" strokeWidth="3.4" strokeLinecap="round" />
    </svg>
  )
}

function NavItem({ place: { path, name, icon }, menu }: { place: Place; menu: string }) {
  const [at] = useLocation()
  const isHere = path === '/' ? at === '/' : at === path || at.startsWith(`${path}/`)
  const close = () => {
    const popover = document.getElementById(menu)
    if (popover?.matches(':popover-open')) popover.hidePopover()
  }
  return (
    <li>
      <Link href={path} aria-current={isHere ? 'page' : undefined} onClick={close}>
        <Icon name={icon} size={17} />
        {name}
      </Link>
    </li>
  )
}

/** Each cell with its state, on every page. */
function CellPills() {
  const { cells } = useLive()
  const troubled = cells.filter(({ reach }) => reach === 'silent').map(({ cell }) => cell.name)
  return (
    <>
      <ul className="pills" aria-label="Cells">
        {cells.map((live) => (
          <li
            key={live.cell.name}
            className={`pill pill-${live.reach}${live.pulse?.cut_off ? ' pill-cut' : ''}`}
            title={`${live.cell.name}: ${wordsOf(live)}`}
          >
            {live.cell.name}
            <span className="visually-hidden">{live.reach === 'silent' ? ` ${wordsOf(live)}` : ''}</span>
          </li>
        ))}
      </ul>
      <p className="visually-hidden" role="status">
        {troubled.length > 0 ? `Not reachable: ${troubled.join(', ')}` : ''}
      </p>
    </>
  )
}

const nextTheme: Record<Theme, { next: Theme; icon: IconName; label: string }> = {
  system: { next: 'light', icon: 'system', label: 'Colours: as the system has them' },
  light: { next: 'dark', icon: 'light', label: 'Colours: light' },
  dark: { next: 'system', icon: 'dark', label: 'Colours: dark' },
}

function ThemeSwitch() {
  const { next, icon, label } = nextTheme[useTheme()]
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={() => chooseTheme(next)}>
      <Icon name={icon} size={18} />
    </button>
  )
}

function Account() {
  const { session, signOut } = useSession()
  return (
    <>
      <span className="shop" title={`Shop ${session.shop.id}`}>
        {session.shop.name}
        <span className={`mode mode-${session.shop.mode}`}>{session.shop.mode}</span>
      </span>
      <button type="button" className="icon-button" aria-label="Sign out" title="Sign out" onClick={signOut}>
        <Icon name="leave" size={18} />
      </button>
    </>
  )
}

const typed = 'input, textarea, select, [contenteditable]'

function useKeys(known: readonly Place[], onHelp: () => void): void {
  const [, go] = useLocation()
  const state = useRef({ prefixAt: 0, known, onHelp })
  state.current = { ...state.current, known, onHelp }
  // Before the page is painted, so that no key that is pressed at what is seen is missed.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { current } = state
      const target = event.target as Element
      if (target.closest('dialog')) return
      const hasModifier = event.ctrlKey || event.metaKey || event.altKey
      const pressed = { key: event.key, isTyping: target.matches(typed), hasModifier }
      const meaning = meaningOf(pressed, Date.now() - current.prefixAt < prefixMs, current.known)
      current.prefixAt = meaning?.kind === 'prefix' ? Date.now() : 0
      if (meaning?.kind === 'go') go(meaning.path)
      else if (meaning?.kind === 'help') current.onHelp()
      else if (meaning?.kind === 'step') step(meaning.by)
      if (meaning) event.preventDefault()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [go])
}

/** To the next or the previous row of the page's list; Enter then opens it, as links do. */
function step(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main [data-row]')]
  const at = rows.indexOf(document.activeElement as HTMLElement)
  const next = at === -1 ? rows[0] : rows[at + by]
  next?.focus()
  next?.scrollIntoView({ block: 'nearest' })
}

function Help({ places, onClose }: { places: readonly Place[]; onClose(): void }) {
  const dialog = useModal()
  const title = useId()
  const rows: [string[], string][] = [
    ...places.map(({ letter, name }): [string[], string] => [['g', letter], name]),
    [['j'], 'Next row'],
    [['k'], 'Previous row'],
    [['Enter'], 'Open the row'],
    [['Esc'], 'Close a dialog'],
    [['?'], 'These keys'],
  ]
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby={title} onCancel={onClose}>
      <h2 id={title}>Keys</h2>
      <dl className="keys">
        {rows.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Close
        </button>
      </div>
    </dialog>
  )
}
