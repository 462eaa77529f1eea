// The payments, refunds, parcels and returns of an order, each with its state and what may be done to it.
import type { Refund, Return, Shipment } from '@holdfast/sdk'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { ShipmentAction } from './actions.ts'
import { homeOf } from './cells.ts'
import { capitalized, formatCount, formatMoney, inWords } from './formats.ts'
import { Empty, Failure, Panel, Skeleton, State, Time } from './parts.tsx'
import { useClient } from './queries.ts'

function Part({ head, children, actions }: { head: ReactNode; children?: ReactNode; actions?: ReactNode }) {
  return (
    <li className="part">
      <div className="part-head">{head}</div>
      {children && <div className="soft">{children}</div>}
      {actions && <div className="part-actions">{actions}</div>}
    </li>
  )
}

export function PaymentParts({ orderId }: { orderId: string }) {
  const client = useClient(homeOf(orderId))
  const payments = useQuery({ queryKey: ['order-payments', orderId], queryFn: () => client.orders.payments(orderId) })
  const found = payments.data?.data ?? []
  return (
    <Panel title="Payments" note={found.length > 0 ? formatCount(found.length) : undefined}>
      {payments.isPending ? (
        <Skeleton rows={1} height={56} />
      ) : payments.error ? (
        <Failure error={payments.error} onRetry={() => void payments.refetch()} />
      ) : found.length === 0 ? (
        <Empty title="Nobody has tried to pay" />
      ) : (
        <ul>
          {found.map((payment) => (
            <Part
              key={payment.id}
              head={
                <>
                  <State of={payment.status} />
                  <b>{formatMoney(payment.amount)}</b>
                </>
              }
            >
              {payment.provider}, <Time at={payment.created_at} style="day" />
              {payment.error && `, ${inWords(payment.error.code)}`}
              {payment.dispute && `, dispute ${payment.dispute.status}: ${payment.dispute.reason}`}
            </Part>
          ))}
        </ul>
      )}
    </Panel>
  )
}

export function RefundParts({ refunds }: { refunds: readonly Refund[] }) {
  if (refunds.length === 0) return null
  return (
    <Panel title="Refunds" note={formatCount(refunds.length)}>
      <ul>
        {refunds.map((refund) => (
          <Part
            key={refund.id}
            head={
              <>
                <State of={refund.status} />
                <b>{formatMoney(refund.amount)}</b>
              </>
            }
          >
            <Time at={refund.created_at} style="day" />
            {refund.error && `, ${inWords(refund.error.code)}`}
          </Part>
        ))}
      </ul>
    </Panel>
  )
}

const shipmentVerbs: Record<ShipmentAction, string> = {
  pack: 'Packed',
  ship: 'Ship',
  deliver: 'Delivered',
  cancel: 'Give up',
}

type ShipmentProps = {
  shipments: readonly Shipment[]
  actionsOf(shipment: Shipment): ShipmentAction[]
  onAction(shipment: Shipment, action: ShipmentAction): void
}

export function ShipmentParts({ shipments, actionsOf, onAction }: ShipmentProps) {
  if (shipments.length === 0) return null
  return (
    <Panel title="Shipments" note={formatCount(shipments.length)}>
      <ul>
        {shipments.map((shipment) => {
          const actions = actionsOf(shipment).map((action) => (
            <button
              key={action}
              type="button"
              className="button button-small"
              onClick={() => onAction(shipment, action)}
            >
              {shipmentVerbs[action]}
            </button>
          ))
          return (
            <Part
              key={shipment.id}
              head={
                <>
                  <State of={shipment.status} />
                  <span>
                    {shipment.lines.map(({ sku, quantity }) => `${formatCount(quantity)} × ${sku}`).join(', ')}
                  </span>
                </>
              }
              actions={actions.length > 0 && actions}
            >
              {shipment.carrier && `${shipment.carrier} ${shipment.tracking_number}, `}
              <Time at={shipment.shipped_at ?? shipment.created_at} style="day" />
            </Part>
          )
        })}
      </ul>
    </Panel>
  )
}

type ReturnProps = { returns: readonly Return[]; mayReceive(one: Return): boolean; onReceive(one: Return): void }

export function ReturnParts({ returns, mayReceive, onReceive }: ReturnProps) {
  if (returns.length === 0) return null
  return (
    <Panel title="Returns" note={formatCount(returns.length)}>
      <ul>
        {returns.map((one) => (
          <Part
            key={one.id}
            head={
              <>
                <State of={one.status} />
                <span>{one.lines.map(({ sku, quantity }) => `${formatCount(quantity)} × ${sku}`).join(', ')}</span>
              </>
            }
            actions={
              mayReceive(one) && (
                <button type="button" className="button button-small" onClick={() => onReceive(one)}>
                  Receive
                </button>
              )
            }
          >
            {capitalized(one.reason)}, <Time at={one.created_at} style="day" />
          </Part>
        ))}
      </ul>
    </Panel>
  )
}
