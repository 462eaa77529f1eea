// The small parts that every page is made of: headings, times, states of things, and what is shown while there is nothing, while
// it is awaited, and when it cannot be had.
import { HoldfastError } from '@holdfast/sdk'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { capitalized, formatAgo, formatTime, inWords, type TimeStyle } from './formats.ts'
import { Icon } from './icons.tsx'

let isFirstPage = true

/** A page with its heading, which takes the focus when somebody comes here from another page. */
export function Page({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    if (!isFirstPage) heading.current?.focus({ preventScroll: true })
    isFirstPage = false
  }, [])
  return (
    <>
      <title>{`${title} · Holdfast`}</title>
      <header className="page-head">
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        {aside && <div className="page-aside">{aside}</div>}
      </header>
      {children}
    </>
  )
}

type PanelProps = {
  title: string
  /** Beside the heading. */
  note?: ReactNode
  actions?: ReactNode
  className?: string
  children: ReactNode
}

export function Panel({ title, note, actions, className = '', children }: PanelProps) {
  const id = useId()
  return (
    <section className={`panel ${className}`} aria-labelledby={id}>
      <div className="panel-head">
        <h2 id={id}>{title}</h2>
        {note && <span className="panel-note">{note}</span>}
        {actions && <div className="panel-actions">{actions}</div>}
      </div>
      {children}
    </section>
  )
}

export function Time({ at, style = 'clock' }: { at: string | number; style?: TimeStyle }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={formatTime(at, 'full')}>
      {formatTime(at, style)}
    </time>
  )
}

export function Ago({ at, now }: { at: string | number; now: number }) {
  const ms = typeof at === 'number' ? at : Date.parse(at)
  return (
    <time dateTime={new Date(ms).toISOString()} title={formatTime(ms, 'full')}>
      {formatAgo(ms, now)}
    </time>
  )
}

type Tone = 'good' | 'busy' | 'bad' | 'quiet'

const tones: Record<string, Tone> = {
  confirmed: 'good',
  completed: 'good',
  captured: 'good',
  delivered: 'good',
  shipped: 'good',
  received: 'good',
  fulfilled: 'good',
  refunded: 'quiet',
  live: 'good',
  enabled: 'good',
  active: 'good',
  pending: 'busy',
  in_review: 'busy',
  authorized: 'busy',
  requires_action: 'busy',
  partially_fulfilled: 'busy',
  partially_refunded: 'busy',
  picking: 'busy',
  packed: 'busy',
  requested: 'busy',
  running: 'busy',
  draining: 'busy',
  failed: 'bad',
  dead: 'bad',
  disabled: 'bad',
  frozen: 'bad',
  cut_off: 'bad',
  not_reachable: 'bad',
  refuses_this_key: 'bad',
}

/** The state of a thing: its word, and a dot whose shape and colour repeat it. */
export function State({ of, tone = tones[of] ?? 'quiet' }: { of: string; tone?: Tone }) {
  return <span className={`state state-${tone}`}>{capitalized(inWords(of))}</span>
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children && <div className="empty-text">{children}</div>}
    </div>
  )
}

/** Keeps the place of rows that are awaited. */
export function Skeleton({ rows, height = 44 }: { rows: number; height?: number }) {
  return (
    <div className="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
        <div key={row} className="skeleton-row" style={{ height }}>
          <span style={{ width: `${12 + ((row * 7) % 9)}%` }} />
          <span style={{ width: `${30 + ((row * 13) % 21)}%` }} />
        </div>
      ))}
    </div>
  )
}

export type Told = { title: string; detail: string; code: string }

/** What went wrong, in the server's words where it said any. */
export function toldOf(error: unknown): Told {
  if (!(error instanceof HoldfastError))
    return { title: 'Something went wrong in this page', detail: String(error), code: 'page' }
  const { problem, code } = error
  if (code === 'unreachable')
    return {
      title: 'No answer',
      detail: 'The cell cannot be reached from this browser. What was asked may or may not have been done.',
      code,
    }
  const fields = error.errors.map(({ pointer, code: what, detail }) => `${pointer}: ${detail ?? what}`)
  const detail = [problem.detail, ...fields].filter(Boolean).join(' ')
  return { title: problem.title ?? 'Refused', detail, code }
}

const advice: Record<string, string> = {
  unreachable: 'Try again; if it stays so, look at Health, or open the page of another cell.',
  unauthorized: 'Sign out, and sign in with a key that was not revoked.',
  forbidden: 'Sign in with a key that has the scope.',
  overloaded: 'The cell has more to do than it can; try again in a moment.',
  page: 'Load the page again.',
}

export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { title, detail, code } = toldOf(error)
  return (
    <div className="failure" role="alert">
      <Icon name="warning" size={18} />
      <div>
        <p className="failure-title">{title}</p>
        {detail && <p>{detail}</p>}
        <p className="failure-advice">
          {advice[code] ?? 'Try again.'} <code>{code}</code>
        </p>
      </div>
      {onRetry && (
        <button type="button" className="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  )
}

/** Which cells are not in what is shown. */
export function Missing({ cells, what }: { cells: readonly string[]; what: string }) {
  if (cells.length === 0) return null
  return (
    <p className="missing" role="status">
      <Icon name="warning" />
      {`${cells.join(', ')} cannot be reached: ${what} of ${cells.length === 1 ? 'this cell' : 'these cells'} are not shown.`}
    </p>
  )
}

type FoundProps = {
  /** As cells were asked. */
  of: { missing: readonly string[]; isLoading: boolean; error: unknown; refetch(): void }
  what: string
  /** There is nothing of it. */
  isEmpty: boolean
  /** Of those that are awaited. */
  rows: number
  height?: number
  empty: ReactNode
  children: ReactNode
}

/** What cells were asked for: its place while it is awaited, or it, or that there is none; why it, or the rest of it, cannot be had; and who did not answer. */
export function Found({ of, what, isEmpty, rows, height, empty, children }: FoundProps) {
  const { missing, isLoading, error, refetch } = of
  return (
    <>
      <Missing cells={missing} what={what} />
      {isLoading ? (
        <Skeleton rows={rows} {...(height ? { height } : {})} />
      ) : (
        <>
          {!isEmpty ? children : error ? null : empty}
          {error ? <Failure error={error} onRetry={refetch} /> : null}
        </>
      )}
    </>
  )
}

type FieldProps = { label: string; hint?: string; children: (id: string) => ReactNode }

export function Field({ label, hint, children }: FieldProps) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
      {hint && <p className="field-hint">{hint}</p>}
    </div>
  )
}

/** Names and values. */
export function Facts({ of }: { of: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** How much of something is used, or, as a share, who has it; the number stands beside it. */
export function Meter({
  label,
  value,
  max,
  isShare,
}: {
  label: string
  value: number
  max: number
  isShare?: boolean
}) {
  const part = max === 0 ? 0 : Math.min(1, value / max)
  return (
    <span className="meter" role="img" aria-label={`${label}: ${Math.round(part * 100)} %`}>
      <span className={part > 0.8 && !isShare ? 'meter-full' : ''} style={{ width: `${part * 100}%` }} />
    </span>
  )
}
