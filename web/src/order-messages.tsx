// What endpoints were told of an order, and what came of it.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { homeOf } from './cells.ts'
import { DeliveryDialog } from './delivery-dialog.tsx'
import { formatCount, inWords } from './formats.ts'
import { Empty, Found, Panel, State, Time } from './parts.tsx'
import { useClient } from './queries.ts'

const pageMessages = 20
const everyMs = 5000 // tries are no events

export function OrderMessages({ orderId }: { orderId: string }) {
  const client = useClient(homeOf(orderId))
  const [shown, setShown] = useState<string | null>(null)
  const messages = useInfiniteQuery({
    queryKey: ['order-messages', orderId],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam: cursor }) =>
      client.webhookDeliveries.list({ order: orderId, limit: pageMessages, ...(cursor ? { cursor } : {}) }),
    getNextPageParam: ({ next_cursor }) => next_cursor ?? undefined,
    refetchInterval: everyMs,
  })
  const endpoints = useQuery({
    queryKey: ['endpoints', homeOf(orderId)],
    queryFn: () => client.webhookEndpoints.list(),
  })
  const found = messages.data?.pages.flatMap(({ data }) => data) ?? []
  const placeOf = (id: string): string =>
    endpoints.data?.data.find((one) => one.id === id)?.url ?? 'an endpoint that is gone'
  return (
    <Panel
      title="Messages"
      note={found.length > 0 ? `${formatCount(found.length)}${messages.hasNextPage ? ' so far' : ''}` : undefined}
    >
      <Found
        of={{
          missing: [],
          isLoading: messages.isPending,
          error: messages.error,
          refetch: () => void messages.refetch(),
        }}
        what="messages"
        isEmpty={found.length === 0}
        rows={2}
        height={56}
        empty={<Empty title="Nobody was told of it" />}
      >
        <ul>
          {found.map((one) => (
            <li key={one.id} className="part">
              <div className="part-head">
                <State of={one.status} />
                <button type="button" className="link" onClick={() => setShown(one.id)}>
                  {inWords(one.type.replace('.', ' '))}
                </button>
              </div>
              <div className="soft message-place">
                {placeOf(one.endpoint_id)},{' '}
                {one.attempt_count === 1 ? 'one try' : `${formatCount(one.attempt_count)} tries`},{' '}
                <Time at={one.updated_at} style="day" />
              </div>
            </li>
          ))}
        </ul>
      </Found>
      {messages.hasNextPage && (
        <div className="rows-foot">
          <button type="button" className="button button-small" onClick={() => void messages.fetchNextPage()}>
            Older
          </button>
        </div>
      )}
      {shown && <DeliveryDialog id={shown} onClose={() => setShown(null)} />}
    </Panel>
  )
}
