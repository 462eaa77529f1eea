// A long list of which only what is in sight is drawn; more of it is asked for when its end comes near, or by the button below.
import { useWindowVirtualizer } from '@tanstack/react-virtual'
import {
  type CSSProperties,
  type ReactNode,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react'
import { formatCount } from './formats.ts'

const narrow = matchMedia('(max-width: 760px)')
const rowHeights = { wide: 44, narrow: 64 }
const nearEnd = 15

const useIsNarrow = (): boolean =>
  useSyncExternalStore(
    (listener) => {
      narrow.addEventListener('change', listener)
      return () => narrow.removeEventListener('change', listener)
    },
    () => narrow.matches,
  )

type Props<T> = {
  items: readonly T[]
  className: string
  label: string
  heads: readonly { name: string; isNumber?: boolean }[]
  row(item: T, place: { style: CSSProperties; isNarrow: boolean }): ReactNode
  hasMore: boolean
  isLoadingMore: boolean
  /** More is not asked for by itself then. */
  hasFailed: boolean
  onMore(): void
}

export function VirtualRows<T>({
  items,
  className,
  label,
  heads,
  row,
  hasMore,
  isLoadingMore,
  hasFailed,
  onMore,
}: Props<T>) {
  const place = useRef<HTMLUListElement>(null)
  const [offset, setOffset] = useState(0)
  const isNarrow = useIsNarrow()
  useLayoutEffect(() => setOffset(place.current!.getBoundingClientRect().top + window.scrollY), [])
  const height = isNarrow ? rowHeights.narrow : rowHeights.wide
  const rows = useWindowVirtualizer({
    count: items.length,
    estimateSize: () => height,
    overscan: 8,
    scrollMargin: offset,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: measured again when rows have another height
  useEffect(() => rows.measure(), [height])
  const drawn = rows.getVirtualItems()
  const last = drawn.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasMore && !isLoadingMore && !hasFailed && last >= items.length - nearEnd) onMore()
  }, [hasMore, isLoadingMore, hasFailed, last, items.length, onMore])
  return (
    <div className={className}>
      <div className="rows-head" aria-hidden="true">
        {heads.map(({ name, isNumber }) => (
          <span key={name} className={isNumber ? 'number' : ''}>
            {name}
          </span>
        ))}
      </div>
      <ul ref={place} className="rows" aria-label={label} style={{ height: rows.getTotalSize() }}>
        {drawn.map(({ index, start }) =>
          row(items[index]!, { isNarrow, style: { transform: `translateY(${start - offset}px)` } }),
        )}
      </ul>
      <div className="rows-foot">
        <span>{`${formatCount(items.length)}${hasMore ? ' so far' : ''}`}</span>
        {hasMore && (
          <button type="button" className="button button-small" onClick={onMore} disabled={isLoadingMore}>
            {isLoadingMore ? 'Loading…' : 'Older'}
          </button>
        )}
      </div>
    </div>
  )
}
