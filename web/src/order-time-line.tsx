// Everything that happened to an order, oldest first, as far as its events are kept.
import { useInfiniteQuery } from '@tanstack/react-query'
import { homeOf } from './cells.ts'
import { detailOf } from './feed.tsx'
import { capitalized, formatCount, inWords } from './formats.ts'
import { Empty, Failure, Panel, Skeleton, Time } from './parts.tsx'
import { useClient } from './queries.ts'
import { useSession } from './session.tsx'

const pageEvents = 100

export function OrderTimeLine({ id }: { id: string }) {
  const client = useClient(homeOf(id))
  const history = useInfiniteQuery({
    queryKey: ['order-events', id],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) => client.orders.events(id, { limit: pageEvents, ...(cursor ? { cursor } : {}) }),
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
  })
  const events = history.data?.pages.flatMap(({ data }) => data) ?? []
  return (
    <Panel title="Time line" note={events.length > 0 ? formatCount(events.length) : undefined}>
      {history.isPending ? (
        <Skeleton rows={5} height={34} />
      ) : history.error ? (
        <Failure error={history.error} onRetry={() => void history.refetch()} />
      ) : events.length === 0 ? (
        <Empty title="Its events are no longer kept" />
      ) : (
        <ol className="time-line">
          {events.map((event) => (
            <li key={event.id} className={/failed|cancelled|short/.test(event.type) ? 'bad' : ''}>
              <Time at={event.time} style="moment" />
              <span>{capitalized(inWords(event.type.replace('.', ' ')))}</span>
              <span className="soft time-line-detail">
                {detailOf(event)}
                {event.traceparent && <TraceOf traceparent={event.traceparent} />}
              </span>
            </li>
          ))}
        </ol>
      )}
      {history.hasNextPage && (
        <div className="rows-foot">
          <button type="button" className="button button-small" onClick={() => void history.fetchNextPage()}>
            What came then
          </button>
        </div>
      )}
    </Panel>
  )
}

/** The trace of the request that an event came of: a link to where traces are looked at, or its id where nobody has said where. */
function TraceOf({ traceparent }: { traceparent: string }) {
  const { session } = useSession()
  const [, id] = traceparent.split('-') as [string, string]
  if (session.trace_link === null) return <code>trace {id}</code>
  return (
    <a
      href={session.trace_link.replaceAll('{trace_id}', id)}
      target="_blank"
      rel="noreferrer"
      aria-label={`Trace ${id}`}
    >
      Trace
    </a>
  )
}
