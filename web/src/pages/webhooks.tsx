// Who is told of events, and what came of every message: shown, sent again.
import type { WebhookDelivery, WebhookEndpoint } from '@holdfast/sdk'
import { useQueryClient } from '@tanstack/react-query'
import { type CSSProperties, useCallback, useState } from 'react'
import { useSearchParams } from 'wouter'
import { homeOf } from '../cells.ts'
import { DeliveryDialog } from '../delivery-dialog.tsx'
import { useConfirm } from '../dialog.tsx'
import { formatCount } from '../formats.ts'
import { Empty, Field, Found, Page, Panel, State, Time } from '../parts.tsx'
import { useClient, useMergedList, useOfCells } from '../queries.ts'
import { useSession } from '../session.tsx'
import { VirtualRows } from '../virtual-rows.tsx'

const statuses = ['pending', 'delivered', 'dead', 'dropped'] as const

export function Webhooks() {
  return (
    <Page title="Webhooks">
      <Endpoints />
      <Deliveries />
    </Page>
  )
}

function Endpoints() {
  const found = useOfCells(['endpoints'], (client) => client.webhookEndpoints.list())
  const endpoints = [
    ...new Map(found.answers.flatMap(({ value }) => value.data.map((one) => [one.id, one] as const))).values(),
  ]
  return (
    <Panel title="Endpoints" note={endpoints.length > 0 ? formatCount(endpoints.length) : undefined}>
      <Found
        of={found}
        what="endpoints"
        isEmpty={endpoints.length === 0}
        rows={2}
        height={64}
        empty={
          <Empty title="Nobody is told of events">
            An endpoint is made by POST /v1/webhook-endpoints, whose answer has its secret, or by holdfast’s SDK.
          </Empty>
        }
      >
        <EndpointList endpoints={endpoints} />
      </Found>
    </Panel>
  )
}

function EndpointList({ endpoints }: { endpoints: readonly WebhookEndpoint[] }) {
  const { scopes } = useSession()
  const client = useClient()
  const queries = useQueryClient()
  const { ask, dialog } = useConfirm()
  const renew = () => queries.invalidateQueries({ queryKey: ['endpoints'] })
  const test = ({ id, url }: WebhookEndpoint) =>
    ask({
      title: 'Send a test?',
      text: url,
      verb: 'Send',
      done: 'Test sent',
      cell: homeOf(id),
      run: async ({ key }) => {
        await client.webhookEndpoints.test(id, { idempotencyKey: key })
        await queries.invalidateQueries({ queryKey: ['deliveries'] })
      },
    })
  const turn = ({ id, url, enabled }: WebhookEndpoint) =>
    ask({
      title: enabled ? 'Send no more there?' : 'Send there again?',
      text: url,
      verb: enabled ? 'Disable' : 'Enable',
      isHarmful: enabled,
      done: enabled ? 'Endpoint disabled' : 'Endpoint enabled',
      cell: homeOf(id),
      run: async () => {
        await client.webhookEndpoints.change(id, { enabled: !enabled })
        await renew()
      },
    })
  return (
    <>
      <ul>
        {endpoints.map((one) => (
          <li key={one.id} className="part">
            <div className="part-head">
              <State of={one.enabled ? 'enabled' : 'disabled'} />
              <b className="url">{one.url}</b>
            </div>
            <p className="soft">
              {one.types.join(', ')}
              {one.disabled_reason && `; disabled: ${one.disabled_reason}`}
              {one.failing_since && (
                <>
                  ; failing since <Time at={one.failing_since} style="day" />
                </>
              )}
            </p>
            {scopes.has('webhooks:write') && (
              <div className="part-actions">
                <button type="button" className="button button-small" onClick={() => test(one)}>
                  Send a test
                </button>
                <button type="button" className="button button-small" onClick={() => turn(one)}>
                  {one.enabled ? 'Disable' : 'Enable'}
                </button>
              </div>
            )}
          </li>
        ))}
      </ul>
      {dialog}
    </>
  )
}

function Deliveries() {
  const [search, setSearch] = useSearchParams()
  const status = statuses.find((one) => one === search.get('status'))
  const [shown, setShown] = useState<string | null>(null)
  const list = useMergedList<WebhookDelivery>({
    name: ['deliveries', status],
    read: (client, page) => client.webhookDeliveries.list({ ...page, ...(status ? { status } : {}) }),
    before: (one, other) => one.created_at > other.created_at,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is another object every time
  const more = useCallback(() => list.loadMore(), [list.isLoadingMore, list.items.length])
  const filter = (
    <Field label="Status">
      {(id) => (
        <select
          id={id}
          value={status ?? ''}
          onChange={({ target }) => setSearch(target.value === '' ? {} : { status: target.value })}
        >
          <option value="">All</option>
          {statuses.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      )}
    </Field>
  )
  return (
    <Panel title="Deliveries" note="of the last 30 days" actions={filter} className="entries">
      <Found
        of={list}
        what="deliveries"
        isEmpty={list.items.length === 0}
        rows={6}
        empty={<Empty title={status ? 'No delivery is like that' : 'Nothing was sent yet'} />}
      >
        <VirtualRows
          items={list.items}
          className="deliveries-columns"
          label="Deliveries"
          heads={[
            { name: 'Status' },
            { name: 'Event' },
            { name: 'Of' },
            { name: 'Cell' },
            { name: 'Tries', isNumber: true },
            { name: 'Last', isNumber: true },
          ]}
          row={({ cell, item }, { style }) => (
            <DeliveryRow key={item.id} cell={cell} delivery={item} style={style} onOpen={() => setShown(item.id)} />
          )}
          hasMore={list.hasMore}
          isLoadingMore={list.isLoadingMore}
          hasFailed={list.error !== null}
          onMore={more}
        />
      </Found>
      {shown && <DeliveryDialog id={shown} onClose={() => setShown(null)} />}
    </Panel>
  )
}

type RowProps = { cell: string; delivery: WebhookDelivery; style: CSSProperties; onOpen(): void }

function DeliveryRow({ cell, delivery, style, onOpen }: RowProps) {
  return (
    <li>
      <button type="button" className="row row-button" style={style} onClick={onOpen} data-row="">
        <State of={delivery.status} />
        <span>{delivery.type}</span>
        <span className="soft wide-only" title={delivery.subject}>
          {delivery.subject}
        </span>
        <span className="soft wide-only">{cell}</span>
        <span className="number wide-only">{formatCount(delivery.attempt_count)}</span>
        <span className="number soft">
          <Time at={delivery.updated_at} style="day" />
        </span>
      </button>
    </li>
  )
}
