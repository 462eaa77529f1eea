// One order: what it is, everything that happened to it, and what may be done now.
import type { Order } from '@holdfast/sdk'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useSyncExternalStore } from 'react'
import { Link, useParams } from 'wouter'
import { mayReceive, orderActions, shipmentActions, unitsToShip } from '../actions.ts'
import { homeOf } from '../cells.ts'
import { type Asked, useConfirm } from '../dialog.tsx'
import { formatCount, formatMoney } from '../formats.ts'
import { askedOf, askedOfShipment, askedToReceive } from '../order-dialogs.tsx'
import { OrderMessages } from '../order-messages.tsx'
import { PaymentParts, RefundParts, ReturnParts, ShipmentParts } from '../order-parts.tsx'
import { OrderTimeLine } from '../order-time-line.tsx'
import { Facts, Failure, Page, Panel, Skeleton, State, Time } from '../parts.tsx'
import { useClient } from '../queries.ts'
import { useSession } from '../session.tsx'

const actionNames = {
  approve: 'Approve',
  refuse: 'Refuse',
  capture: 'Capture',
  ship: 'Ship',
  return: 'Return',
  refund: 'Refund',
  cancel: 'Cancel',
} as const

export function OrderPage() {
  const id = useParams<{ id: string }>().id
  const client = useClient(homeOf(id))
  const order = useQuery({ queryKey: ['order', id], queryFn: () => client.orders.get(id) })
  useFollowing(id)
  const title = order.data?.reference ? `Order ${order.data.reference}` : `Order …${id.slice(-10)}`
  if (order.isPending)
    return (
      <Page title={title}>
        <section className="panel" aria-label="Order">
          <Skeleton rows={10} />
        </section>
      </Page>
    )
  if (!order.data)
    return (
      <Page title={title}>
        <section className="panel" aria-label="Order">
          <Failure error={order.error} onRetry={() => void order.refetch()} />
        </section>
      </Page>
    )
  return <Shown order={order.data} title={title} />
}

/** Reads the order again when the feed tells of it. */
function useFollowing(id: string): void {
  const { live } = useSession()
  const queries = useQueryClient()
  const newest = useSyncExternalStore(live.events.subscribe, () => {
    for (let at = 0; at < live.feed.length; at++) if (live.feed.at(at)!.subject === id) return live.feed.at(at)!.id
    return ''
  })
  useEffect(() => {
    if (newest !== '')
      for (const name of ['order', 'order-events', 'order-payments', 'order-messages'])
        void queries.invalidateQueries({ queryKey: [name, id] })
  }, [newest, id, queries])
}

function Shown({ order, title }: { order: Order; title: string }) {
  const { scopes } = useSession()
  const client = useClient(homeOf(order.id))
  const queries = useQueryClient()
  const { ask, dialog } = useConfirm()
  const confirm = (asked: Asked) =>
    ask({
      ...asked,
      run: async (intent) => {
        await asked.run(intent)
        await Promise.all(
          ['order', 'order-events', 'order-payments'].map((name) =>
            queries.invalidateQueries({ queryKey: [name, order.id] }),
          ),
        )
        void queries.invalidateQueries({ queryKey: ['orders'] })
      },
    })
  const actions = orderActions(order, scopes)
  return (
    <Page
      title={title}
      aside={actions.map((action) => (
        <button key={action} type="button" className="button" onClick={() => confirm(askedOf(client, order, action))}>
          {actionNames[action]}
        </button>
      ))}
    >
      <div className="columns">
        <div>
          <Panel title="Lines" note={`${order.lines.length}`}>
            <Lines order={order} />
          </Panel>
          <OrderTimeLine id={order.id} />
        </div>
        <div>
          <About order={order} />
          <PaymentParts orderId={order.id} />
          <RefundParts refunds={order.refunds} />
          <ShipmentParts
            shipments={order.shipments}
            actionsOf={(shipment) => shipmentActions(shipment, scopes)}
            onAction={(shipment, action) => confirm(askedOfShipment(client, shipment, action))}
          />
          <ReturnParts
            returns={order.returns}
            mayReceive={(one) => mayReceive(one, scopes)}
            onReceive={(one) => confirm(askedToReceive(client, one))}
          />
          {scopes.has('webhooks:read') && <OrderMessages orderId={order.id} />}
        </div>
      </div>
      {dialog}
    </Page>
  )
}

function Lines({ order }: { order: Order }) {
  const { amounts } = order
  const sums: [string, Order['amounts']['total']][] = [
    ['Discount', amounts.discount],
    ['Shipping', amounts.shipping],
    [amounts.tax_included ? 'Tax, included' : 'Tax', amounts.tax],
  ]
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keyboard
    <section className="table-scroll" tabIndex={0} aria-label="Lines of the order">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">SKU</th>
            <th scope="col" className="number">
              Units
            </th>
            <th scope="col" className="number wide-only">
              Shipped
            </th>
            <th scope="col" className="number wide-only">
              Cancelled
            </th>
            <th scope="col" className="number">
              To ship
            </th>
            <th scope="col" className="number">
              Amount
            </th>
          </tr>
        </thead>
        <tbody>
          {order.lines.map((line, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: lines have no other name, and keep their order
            <tr key={at}>
              <th scope="row" className="grow">
                <Link href={`/stock/${encodeURIComponent(line.sku)}`}>{line.sku}</Link>
              </th>
              <td className="number">{formatCount(line.quantity)}</td>
              <td className="number wide-only">{formatCount(line.shipped_quantity)}</td>
              <td className="number wide-only">{formatCount(line.cancelled_quantity)}</td>
              <td className="number">{formatCount(unitsToShip(line))}</td>
              <td className="number">{formatMoney(line.amount)}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          {[...sums.filter(([, { amount }]) => amount !== 0), ['Total', amounts.total] as const].map(
            ([name, money]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td className="number" colSpan={5}>
                  <b>{formatMoney(money)}</b>
                </td>
              </tr>
            ),
          )}
        </tfoot>
      </table>
    </section>
  )
}

function About({ order }: { order: Order }) {
  const { customer, shipping_address: address, cancel_reason, risk } = order
  const who = customer?.email ?? customer?.external_id
  const where = address && [
    address.name,
    address.line1,
    address.line2,
    address.postal_code,
    address.city,
    address.region,
    address.country,
  ]
  const facts: [string, React.ReactNode][] = [
    ['Status', <State key="status" of={order.status} />],
    ...(cancel_reason ? [['Cancelled as', cancel_reason] as [string, string]] : []),
    ['Payment', <State key="payment" of={order.payment.status} />],
    ['Fulfilment', <State key="fulfilment" of={order.fulfilment.status} />],
    ['Home cell', order.cell],
    ['Placed', <Time key="placed" at={order.placed_at} style="day" />],
    ...(order.expires_at
      ? [['Reserved until', <Time key="until" at={order.expires_at} style="day" />] as [string, React.ReactNode]]
      : []),
    ...(order.reference ? [['Reference', order.reference] as [string, string]] : []),
    ...(who ? [['Customer', who] as [string, string]] : []),
    ...(where ? [['Ships to', where.filter(Boolean).join(', ')] as [string, string]] : []),
    ...(risk ? [['Review', `${risk.review}: ${risk.reasons.join(', ')}`] as [string, string]] : []),
    ...(order.note ? [['Note', order.note] as [string, string]] : []),
    ...(order.superseded_by
      ? [
          [
            'Superseded by',
            <Link key="by" href={`/orders/${order.superseded_by}`}>
              {order.superseded_by}
            </Link>,
          ] as [string, React.ReactNode],
        ]
      : []),
    ['Id', <code key="id">{order.id}</code>],
  ]
  return (
    <Panel title="Order">
      <div className="panel-body">
        <Facts of={facts} />
      </div>
    </Panel>
  )
}
