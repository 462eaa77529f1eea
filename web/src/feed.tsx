// The events of all cells as they come: the newest first, as many as the ring holds, of which only those in sight are drawn.
import { useVirtualizer } from '@tanstack/react-virtual'
import { useRef, useState, useSyncExternalStore } from 'react'
import { Link } from 'wouter'
import { formatCount, formatMoney, inWords } from './formats.ts'
import { Icon } from './icons.tsx'
import { type FeedEvent, feedEventsMax } from './live.ts'
import { Empty, Panel, Time } from './parts.tsx'
import { useSession } from './session.tsx'

const rowHeight = 30

export function Feed() {
  const { live, scopes } = useSession()
  useSyncExternalStore(live.events.subscribe, live.events.version)
  const [held, setHeld] = useState<FeedEvent[] | null>(null)
  const scroller = useRef<HTMLElement>(null)
  const length = held?.length ?? live.feed.length
  const rows = useVirtualizer({
    count: length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 4,
  })
  const toggle = (
    <button
      type="button"
      className="button button-small"
      onClick={() => setHeld(held ? null : live.feed.newestFirst())}
      aria-pressed={held !== null}
    >
      <Icon name={held ? 'play' : 'pause'} size={14} />
      {held ? 'Go on' : 'Pause'}
    </button>
  )
  const mayRead = scopes.has('events:read') && scopes.has('audit:read')
  return (
    <Panel title="Events" note={noteOf(length, live.feed.pushed)} actions={toggle} className="feed">
      {length === 0 ? (
        <Empty title={mayRead ? 'Nothing has happened lately' : 'This key may not read events'}>
          {mayRead
            ? 'Every order, payment and move of stock shows here as it happens.'
            : 'It needs the scopes events:read and audit:read.'}
        </Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keyboard
        <section className="feed-scroll" ref={scroller} tabIndex={0} aria-label="Events, newest first">
          <ol style={{ height: rows.getTotalSize() }}>
            {rows.getVirtualItems().map(({ index, start }) => {
              const event = held ? held[index] : live.feed.at(index)
              return event && <Row key={index} event={event} start={start} />
            })}
          </ol>
        </section>
      )}
    </Panel>
  )
}

const noteOf = (held: number, pushed: number): string =>
  pushed > held ? `the last ${formatCount(feedEventsMax)} of ${formatCount(pushed)}` : formatCount(pushed)

function Row({ event, start }: { event: FeedEvent; start: number }) {
  const { subject, type, data } = event
  const sku = typeof data.sku === 'string' ? data.sku : undefined
  const href = subject.startsWith('ord_') ? `/orders/${subject}` : sku && `/stock/${encodeURIComponent(sku)}`
  const words = inWords(type.replace('.', ' '))
  return (
    <li className="feed-row" style={{ transform: `translateY(${start}px)` }}>
      <Time at={event.time} />
      <span className="feed-cell">{event.cell}</span>
      {href ? (
        <Link href={href} className="feed-type" title={subject}>
          {words}
        </Link>
      ) : (
        <span className="feed-type">{words}</span>
      )}
      <span className="feed-of">{sku ?? `…${subject.slice(-6)}`}</span>
      <span className="feed-detail">{detailOf(event)}</span>
    </li>
  )
}

type Sent = { cell: string; units: number }

/** What an event is about, in as few words as fit. */
export function detailOf({ type, data }: Pick<FeedEvent, 'type' | 'data'>): string {
  const { currency } = data
  const amount = data.total ?? data.amount
  if (type === 'stock.transferred') {
    const sent = (data.sent as Sent[] | undefined)?.map(({ cell, units }) => `${formatCount(units)} to ${cell}`)
    const received = (data.received as Sent[] | undefined)?.map(
      ({ cell, units }) => `${formatCount(units)} from ${cell}`,
    )
    return [...(sent ?? []), ...(received ?? [])].join(', ')
  }
  if (typeof data.delta === 'number')
    return `${data.delta > 0 ? '+' : ''}${formatCount(data.delta)} ${inWords(String(data.reason ?? ''))}`
  if (typeof amount === 'number' && typeof currency === 'string') return formatMoney({ amount, currency })
  return typeof data.reason === 'string' ? inWords(data.reason) : ''
}
