// What each action on an order asks before it is done, and the call that does it.
import type { CancelOrder, Client, Order, Return, Shipment } from '@holdfast/sdk'
import { type OrderAction, type ShipmentAction, unitsToReturn, unitsToShip } from './actions.ts'
import { homeOf } from './cells.ts'
import type { Asked } from './dialog.tsx'
import { formatMoney } from './formats.ts'
import { Field } from './parts.tsx'

type Pickable = { sku: string; most: number }
type Quantities = { sku: string; quantity: number }[]

const text = (form: FormData, name: string): string => String(form.get(name) ?? '').trim()

/** The units that a form with `PickedLines` names; undefined when it names all there are. */
function pickedOf(form: FormData, lines: readonly Pickable[]): Quantities | undefined {
  const picked = lines.map(({ sku, most }, at) => ({ sku, most, quantity: Number(form.get(`units-${at}`)) }))
  if (picked.every(({ quantity, most }) => quantity === most)) return undefined
  return picked.filter(({ quantity }) => quantity > 0).map(({ sku, quantity }) => ({ sku, quantity }))
}

const allOf = (lines: readonly Pickable[]): Quantities => lines.map(({ sku, most }) => ({ sku, quantity: most }))

function PickedLines({ lines }: { lines: readonly Pickable[] }) {
  return (
    <fieldset className="picked" style={{ border: 0 }}>
      <legend className="visually-hidden">Units</legend>
      {lines.map(({ sku, most }, at) => (
        <div key={sku} className="picked-line">
          <label htmlFor={`units-${at}`}>{sku}</label>
          <input
            id={`units-${at}`}
            name={`units-${at}`}
            type="number"
            min={0}
            max={most}
            defaultValue={most}
            required
          />
        </div>
      ))}
    </fieldset>
  )
}

/** Lines of one SKU are one: the API sums them. */
function bySku(lines: readonly Pickable[]): Pickable[] {
  const sums = new Map<string, number>()
  for (const { sku, most } of lines) sums.set(sku, (sums.get(sku) ?? 0) + most)
  return [...sums].map(([sku, most]) => ({ sku, most })).filter(({ most }) => most > 0)
}

const leftToShip = (order: Order): Pickable[] =>
  bySku(order.lines.map((line) => ({ sku: line.sku, most: unitsToShip(line) })))

const reasonField = (label = 'Reason') => (
  <Field label={label}>{(id) => <input id={id} name="reason" required maxLength={200} autoComplete="off" />}</Field>
)

const carrierFields = (
  <>
    <Field label="Carrier">
      {(id) => <input id={id} name="carrier" required maxLength={100} autoComplete="off" />}
    </Field>
    <Field label="Tracking number">
      {(id) => <input id={id} name="tracking_number" required maxLength={100} autoComplete="off" />}
    </Field>
  </>
)

const carrierOf = (form: FormData) => ({
  carrier: text(form, 'carrier'),
  tracking_number: text(form, 'tracking_number'),
})

type Parts = Omit<Asked, 'cell'>

function cancelling(client: Client, order: Order): Parts {
  const lines = leftToShip(order)
  return {
    title: 'Cancel this order?',
    text: 'Its units are free to be sold again, and what was paid for them goes back to the buyer.',
    verb: 'Cancel order',
    isHarmful: true,
    done: 'Order cancelled',
    fields: (
      <>
        <PickedLines lines={lines} />
        <Field label="Reason">
          {(id) => (
            <select id={id} name="reason" defaultValue="merchant">
              {['buyer', 'merchant', 'fraud', 'duplicate', 'short'].map((reason) => (
                <option key={reason}>{reason}</option>
              ))}
            </select>
          )}
        </Field>
      </>
    ),
    run: ({ key, form }) => {
      const picked = pickedOf(form, lines)
      const reason = text(form, 'reason') as CancelOrder['reason']
      return client.orders.cancel(order.id, { reason, ...(picked ? { lines: picked } : {}) }, { idempotencyKey: key })
    },
  }
}

function shipping(client: Client, order: Order): Parts {
  const lines = leftToShip(order)
  return {
    title: 'Ship units of this order',
    text: 'They leave the stock now. An order whose units have all left and whose money is taken is completed.',
    verb: 'Ship',
    done: 'Shipped',
    fields: (
      <>
        <PickedLines lines={lines} />
        {carrierFields}
      </>
    ),
    run: ({ key, form }) => {
      const picked = pickedOf(form, lines)
      return client.orders.ship(
        order.id,
        { ...carrierOf(form), ...(picked ? { lines: picked } : {}) },
        { idempotencyKey: key },
      )
    },
  }
}

function returning(client: Client, order: Order): Parts {
  const lines = bySku(
    [...new Set(order.lines.map(({ sku }) => sku))].map((sku) => ({ sku, most: unitsToReturn(order, sku) })),
  )
  return {
    title: 'Announce a return',
    text: 'The money goes back when the goods have been received.',
    verb: 'Announce return',
    done: 'Return announced',
    fields: (
      <>
        <PickedLines lines={lines} />
        {reasonField()}
      </>
    ),
    run: ({ key, form }) =>
      client.orders.return(
        order.id,
        { lines: pickedOf(form, lines) ?? allOf(lines), reason: text(form, 'reason') },
        { idempotencyKey: key },
      ),
  }
}

function refunding(client: Client, order: Order): Parts {
  const { currency } = order
  const digits =
    new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
  return {
    title: 'Give money back?',
    text: `The order came to ${formatMoney(order.amounts.total)}. Without an amount, all that is left goes back.`,
    verb: 'Refund',
    isHarmful: true,
    done: 'Refund begun',
    fields: (
      <>
        <Field label={`Amount in ${currency}`} hint="Leave it empty to give all back.">
          {(id) => (
            <input id={id} name="amount" type="number" min={10 ** -digits} step={10 ** -digits} inputMode="decimal" />
          )}
        </Field>
        {reasonField()}
      </>
    ),
    run: ({ key, form }) => {
      const amount = text(form, 'amount')
      const body = amount === '' ? {} : { amount: { amount: Math.round(Number(amount) * 10 ** digits), currency } }
      return client.orders.refund(order.id, { ...body, reason: text(form, 'reason') }, { idempotencyKey: key })
    },
  }
}

type Simple = Pick<Asked, 'title' | 'text' | 'verb' | 'isHarmful' | 'done'>

const simple: Record<'approve' | 'refuse' | 'capture', Simple> = {
  approve: {
    title: 'Approve this order?',
    text: 'It goes on as if nobody had to look at it.',
    verb: 'Approve',
    done: 'Order approved',
  },
  refuse: {
    title: 'Refuse this order?',
    text: 'It is cancelled as fraud, and its money goes back.',
    verb: 'Refuse',
    isHarmful: true,
    done: 'Order refused',
  },
  capture: {
    title: 'Take the money now?',
    text: 'What was authorized is captured.',
    verb: 'Capture',
    done: 'Capture begun',
  },
}

export function askedOf(client: Client, order: Order, action: OrderAction): Asked {
  const cell = homeOf(order.id)
  if (action === 'cancel') return { ...cancelling(client, order), cell }
  if (action === 'ship') return { ...shipping(client, order), cell }
  if (action === 'return') return { ...returning(client, order), cell }
  if (action === 'refund') return { ...refunding(client, order), cell }
  return { ...simple[action], cell, run: ({ key }) => client.orders[action](order.id, { idempotencyKey: key }) }
}

const shipmentWords: Record<ShipmentAction, Simple> = {
  pack: {
    title: 'Is this parcel packed?',
    text: 'All of its units were found.',
    verb: 'Packed',
    done: 'Parcel packed',
  },
  ship: {
    title: 'Does this parcel leave?',
    text: 'Its units leave the stock now.',
    verb: 'Ship',
    done: 'Parcel shipped',
  },
  deliver: { title: 'Was this parcel delivered?', verb: 'Delivered', done: 'Parcel delivered' },
  cancel: {
    title: 'Give this parcel up?',
    text: 'Its units are to be picked again.',
    verb: 'Give up',
    isHarmful: true,
    done: 'Parcel given up',
  },
}

export function askedOfShipment(client: Client, { id }: Shipment, action: ShipmentAction): Asked {
  const words = { ...shipmentWords[action], cell: homeOf(id) }
  if (action === 'ship')
    return {
      ...words,
      fields: carrierFields,
      run: ({ key, form }) => client.shipments.ship(id, carrierOf(form), { idempotencyKey: key }),
    }
  return { ...words, run: ({ key }) => client.shipments[action](id, { idempotencyKey: key }) }
}

export function askedToReceive(client: Client, { id, lines }: Return): Asked {
  const pickable = lines.map(({ sku, quantity }) => ({ sku, most: quantity }))
  return {
    title: 'Are the goods back?',
    text: 'The price of what came back is refunded.',
    verb: 'Received',
    done: 'Return received',
    cell: homeOf(id),
    fields: (
      <>
        <PickedLines lines={pickable} />
        <label className="check">
          <input type="checkbox" name="resellable" defaultChecked />
          They can be sold again
        </label>
      </>
    ),
    run: ({ key, form }) => {
      const resellable = form.get('resellable') !== null
      const picked = (pickedOf(form, pickable) ?? allOf(pickable)).map((line) => ({ ...line, resellable }))
      return client.returns.receive(id, { lines: picked }, { idempotencyKey: key })
    },
  }
}
