// The Holdfast client: one function per route, types from openapi.json, no dependencies, no node:* imports. Every POST
// carries an idempotency key and keeps it over its retries, so that no call can do its thing twice.
import type * as api from './api.ts'
import { type Answered, type BulkAnswer, type BulkOptions, bulk } from './bulk.ts'
import {
  type CallOptions,
  type Connection,
  call,
  cellOf,
  type IfVersion,
  present,
  randomId,
  segment,
} from './connection.ts'
import { type StreamOptions, streamEvents } from './events.ts'
import { limits } from './limits.ts'
import {
  cells,
  chaos,
  consumers,
  deadLetters,
  ledger,
  pulse,
  settings,
  webhookDeliveries,
  webhookEndpoints,
} from './operator.ts'
import { nearestOrigin, originsOf } from './origins.ts'

export type * from './api.ts'
export type { Answered, BulkAnswer, BulkOptions } from './bulk.ts'
export type { AnswerInfo, CallOptions, IfVersion } from './connection.ts'
export type { Positioned, StreamOptions } from './events.ts'
export { type FieldProblem, HoldfastError, type Problem } from './problem.ts'
export type { PulseStreamOptions } from './pulse.ts'

export type ClientOptions = {
  /** Of the cell, for example http://127.0.0.1:8080. */
  url?: string
  /** Of several cells, nearest first: the others are turned to while those before them are out of reach. */
  urls?: readonly string[]
  /** sk_… on servers, pk_… in storefronts. */
  key: string
  /** Name of the cell at the first URL; learnt from its first answer when absent. Keys that we make begin with it. */
  cell?: string
  /** Who calls, with a pk_ key: 16–64 random visible ASCII characters. Made, and in browsers remembered, when absent. */
  visitor?: string
  /** Of one call with all its retries; default 30 s. */
  deadlineMs?: number
  /** Of one try; default 15 s. */
  attemptMs?: number
  /** Waits between tries are random up to firstMs × 2^n, at most maxMs; default 100 ms and 5 s. */
  backoff?: { firstMs: number; maxMs: number }
  fetch?: typeof fetch
}

export type ReadOrderOptions = CallOptions & {
  /** What placing it answered; lets a pk_ key read the order back. */
  clientSecret?: string
}
export type Waiting = {
  /** Seconds, 1 to 30: answers when the order has left `pending` or its attempt to pay has ended, or after that time. */
  wait?: number
}

/** An item of a bulk call may bring its own key, and should where the source can be read again. */
export type BulkOrder = api.PlaceOrder & { idempotency_key?: string }
export type BulkOrderAnswer = BulkAnswer & { order?: api.Order; replayed?: boolean }
/** One adjustment, or several that are all made or none. */
export type BulkAdjustment = (api.Adjustment | { adjustments: api.Adjustment[] }) & { idempotency_key?: string }
export type BulkAdjustmentAnswer = BulkAnswer & { data?: api.AdjustedStock['data']; replayed?: boolean }

export type Client = ReturnType<typeof createClient>

export function createClient(options: ClientOptions) {
  const connection: Connection = {
    origins: originsOf(options.urls ?? (options.url === undefined ? [] : [options.url]), options.cell),
    key: options.key,
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    visitor: options.visitor ?? (options.key.startsWith('pk_') ? ownVisitor() : undefined),
    deadlineMs: options.deadlineMs ?? limits.deadlineMs,
    attemptMs: options.attemptMs ?? limits.attemptMs,
    backoff: options.backoff ?? { firstMs: limits.backoffMsFirst, maxMs: limits.backoffMsMax },
  }
  return {
    orders: orders(connection),
    shipments: shipments(connection),
    returns: returns(connection),
    fulfilment: fulfilment(connection),
    holds: holds(connection),
    stock: stock(connection),
    locations: locations(connection),
    events: events(connection),
    webhookEndpoints: webhookEndpoints(connection),
    webhookDeliveries: webhookDeliveries(connection),
    ledger: ledger(connection),
    settings: settings(connection),
    deadLetters: deadLetters(connection),
    consumers: consumers(connection),
    cells: cells(connection),
    pulse: pulse(connection),
    chaos: chaos(connection),
    /** Which cell and release answers, whose key it was asked with, and what that may do. */
    session: (options?: CallOptions) => call<api.Session>(connection, { method: 'GET', path: '/v1/session' }, options),
    /** Compares the counters with the log. `fresh` runs it now; else the last one that ran is answered. */
    audit: ({ fresh = false }: { fresh?: boolean } = {}, call_?: CallOptions) =>
      call<api.Audit>(connection, { method: 'GET', path: '/v1/audit', query: { fresh: fresh || undefined } }, call_),
    /** What is promised, and how much of it the process that answers has kept. */
    objectives: (call_?: CallOptions) =>
      call<api.ObjectiveList>(connection, { method: 'GET', path: '/v1/objectives' }, call_),
    /** The statements that the cell's PostgreSQL is slow with, now and since it counts. */
    slowQueries: (call_?: CallOptions) =>
      call<api.SlowQueries>(connection, { method: 'GET', path: '/v1/slow-queries' }, call_),
    /** The name of the cell that is asked next, once known. */
    cell: (): string | undefined => connection.origins.cells.get(nearestOrigin(connection.origins)),
  }
}

function orders(connection: Connection) {
  /** Does something to an order. */
  const step = <T>(id: string, name: string, options: StepOptions): Promise<T> =>
    callOn<T>(connection, `/v1/orders/${segment(id)}/${name}`, id, options)

  return {
    /** Refused for want of stock: HoldfastError with code `insufficient_stock`, and nothing is kept. */
    place: (order: api.PlaceOrder, { wait, ...options }: CallOptions & Waiting = {}) =>
      call<api.Order>(
        connection,
        { method: 'POST', path: '/v1/orders', body: order, homeCell: cellOf(order.hold_id), wait },
        options,
      ),
    get: (id: string, { clientSecret, ...options }: ReadOrderOptions = {}) =>
      call<api.Order>(
        connection,
        {
          method: 'GET',
          path: `/v1/orders/${segment(id)}`,
          headers: present({ 'holdfast-client-secret': clientSecret }),
        },
        options,
      ),
    list: (query: api.OrderQuery = {}, options?: CallOptions) =>
      call<api.OrderList>(connection, { method: 'GET', path: '/v1/orders', query }, options),
    /** Whole, or the given units of some lines. */
    cancel: (id: string, body: api.CancelOrder, options?: CallOptions & IfVersion) =>
      step<api.Order>(id, 'cancel', { ...options, body }),
    /** Begins an attempt to pay; one at a time. A storefront pays its own order with its secret. */
    pay: (id: string, body: api.Pay, options?: ReadOrderOptions & IfVersion & Waiting) =>
      step<api.Payment>(id, 'payments', { ...options, body }),
    /** Newest first. */
    payments: (id: string, query: api.Page = {}, { clientSecret, ...options }: ReadOrderOptions = {}) =>
      call<api.PaymentList>(
        connection,
        {
          method: 'GET',
          path: `/v1/orders/${segment(id)}/payments`,
          query,
          headers: present({ 'holdfast-client-secret': clientSecret }),
        },
        options,
      ),
    /** Takes authorized money now; the provider's answer shows in the order's payment. */
    capture: (id: string, options?: CallOptions & IfVersion) => step<api.Order>(id, 'capture', { ...options }),
    /** An amount, the price of some units, or all that is left. */
    refund: (id: string, body: api.RefundOrder, options?: CallOptions & IfVersion) =>
      step<api.Refund>(id, 'refunds', { ...options, body }),
    /** Newest first. */
    refunds: (id: string, query: api.Page = {}, options?: CallOptions) =>
      call<api.RefundList>(connection, { method: 'GET', path: `/v1/orders/${segment(id)}/refunds`, query }, options),
    /** All that is left, or the given units. */
    ship: (id: string, body: api.ShipOrder, options?: CallOptions & IfVersion) =>
      step<api.Shipment>(id, 'shipments', { ...options, body }),
    /** Takes on units at a location, to be packed: they are in no other parcel from then on. */
    pick: (id: string, body: api.PickOrder, options?: CallOptions & IfVersion) =>
      step<api.Shipment>(id, 'picks', { ...options, body }),
    /** Units that are not where they should be: found elsewhere, or cancelled and refunded. */
    shortPick: (id: string, body: api.ShortPick, options?: CallOptions & IfVersion) =>
      step<api.Order>(id, 'short-picks', { ...options, body }),
    /** Announces that units come back. */
    return: (id: string, body: api.RequestReturn, options?: CallOptions & IfVersion) =>
      step<api.Return>(id, 'returns', { ...options, body }),
    /** Announces that units come back, and places the order that is sent for them: both or neither. */
    exchange: (id: string, body: api.ExchangeOrder, options?: CallOptions & IfVersion) =>
      step<api.Exchange>(id, 'exchanges', { ...options, body }),
    /** Of an order in review. */
    approve: (id: string, options?: CallOptions & IfVersion) => step<api.Order>(id, 'approve', { ...options }),
    refuse: (id: string, options?: CallOptions & IfVersion) => step<api.Order>(id, 'refuse', { ...options }),
    /** What is left out stays as it is; null takes it away. */
    patch: (id: string, body: api.EditOrder, { ifMatch, ...options }: CallOptions & IfVersion = {}) =>
      call<api.Order>(
        connection,
        {
          method: 'PATCH',
          path: `/v1/orders/${segment(id)}`,
          body,
          headers: present({ 'if-match': ifMatch }),
        },
        options,
      ),
    /** Its history, oldest first; a page. */
    events: (id: string, { limit, cursor, ...options }: CallOptions & api.Page = {}) =>
      call<api.OrderHistory>(
        connection,
        { method: 'GET', path: `/v1/orders/${segment(id)}/events`, query: { limit, cursor } },
        options,
      ),
    /** As many as the source has, with an answer for each in the same order; a refusal is an answer, not an error. */
    bulk: (
      items: AsyncIterable<BulkOrder> | Iterable<BulkOrder>,
      options?: BulkOptions,
    ): AsyncGenerator<Answered<BulkOrder, BulkOrderAnswer>> =>
      bulk({ connection, path: '/v1/orders/bulk' }, items, options),
  }
}

function shipments(connection: Connection) {
  const step = (id: string, name: string, options: StepOptions) =>
    callOn<api.Shipment>(connection, `/v1/shipments/${segment(id)}/${name}`, id, options)

  return {
    get: (id: string, options?: CallOptions) =>
      call<api.Shipment>(connection, { method: 'GET', path: `/v1/shipments/${segment(id)}` }, options),
    pack: (id: string, options?: CallOptions & IfVersion) => step(id, 'pack', { ...options }),
    /** A packed one leaves. Buy the label when this was accepted: it may have been cancelled meanwhile. */
    ship: (id: string, body: api.ShipShipment, options?: CallOptions & IfVersion) =>
      step(id, 'ship', { ...options, body }),
    /** Of one that has not left: its units are to be picked again. */
    cancel: (id: string, options?: CallOptions & IfVersion) => step(id, 'cancel', { ...options }),
    deliver: (id: string, options?: CallOptions & IfVersion) => step(id, 'deliver', { ...options }),
  }
}

function fulfilment(connection: Connection) {
  return {
    /** What is to be picked, packed and shipped at a location, oldest order first. */
    list: (query: api.WorkQuery = {}, options?: CallOptions) =>
      call<api.WorkList>(connection, { method: 'GET', path: '/v1/fulfilment', query }, options),
  }
}

function returns(connection: Connection) {
  return {
    get: (id: string, options?: CallOptions) =>
      call<api.Return>(connection, { method: 'GET', path: `/v1/returns/${segment(id)}` }, options),
    /** The price of what came back is refunded; resellable units are on hand again. */
    receive: (id: string, body: api.ReceiveReturn, options?: CallOptions & IfVersion) =>
      callOn<api.Return>(connection, `/v1/returns/${segment(id)}/receive`, id, { ...options, body }),
  }
}

type StepOptions = ReadOrderOptions & IfVersion & Waiting & { body?: unknown }

/** A POST on a thing, which runs in the cell that the thing's id names. */
const callOn = <T>(
  connection: Connection,
  path: string,
  id: string,
  { body, wait, ifMatch, clientSecret, ...options }: StepOptions,
): Promise<T> =>
  call<T>(
    connection,
    {
      method: 'POST',
      path,
      body,
      headers: present({ 'if-match': ifMatch, 'holdfast-client-secret': clientSecret }),
      homeCell: cellOf(id),
      wait,
    },
    options,
  )

function holds(connection: Connection) {
  return {
    place: (hold: api.PlaceHold, options?: CallOptions) =>
      call<api.Hold>(connection, { method: 'POST', path: '/v1/holds', body: hold }, options),
    get: (id: string, options?: CallOptions) =>
      call<api.Hold>(connection, { method: 'GET', path: `/v1/holds/${segment(id)}` }, options),
    /** Counted from now. */
    extend: (id: string, body: api.ExtendHold, options?: CallOptions) =>
      call<api.Hold>(
        connection,
        { method: 'POST', path: `/v1/holds/${segment(id)}/extend`, body, homeCell: cellOf(id) },
        options,
      ),
    release: (id: string, options?: CallOptions) =>
      call<undefined>(connection, { method: 'DELETE', path: `/v1/holds/${segment(id)}` }, options),
  }
}

function stock(connection: Connection) {
  return {
    get: (sku: string, options?: CallOptions) =>
      call<api.StockLevel>(connection, { method: 'GET', path: `/v1/stock/${segment(sku)}` }, options),
    list: (skus: readonly string[], options?: CallOptions) =>
      call<api.StockList>(connection, { method: 'GET', path: '/v1/stock', query: { sku: skus } }, options),
    /** All of them or none. */
    adjust: (adjustments: api.Adjustment[], options?: CallOptions) =>
      call<api.AdjustedStock>(
        connection,
        { method: 'POST', path: '/v1/stock/adjustments', body: { adjustments } },
        options,
      ),
    setPolicy: (sku: string, policy: api.SetPolicy, { ifMatch, ...options }: CallOptions & IfVersion = {}) =>
      call<api.Policy>(
        connection,
        {
          method: 'PUT',
          path: `/v1/stock/${segment(sku)}/policy`,
          body: policy,
          headers: present({ 'if-match': ifMatch }),
        },
        options,
      ),
    /** Of up to 1,000 SKUs, each for itself. */
    setPolicies: (policies: api.SetPolicies, options?: CallOptions) =>
      call<api.PolicyList>(connection, { method: 'PUT', path: '/v1/stock/policies', body: { policies } }, options),
    /** Between the cell that answers and another; a page. */
    transfers: (query: api.TransferQuery, options?: CallOptions) =>
      call<api.TransferList>(connection, { method: 'GET', path: '/v1/transfers', query }, options),
    bulk: (
      items: AsyncIterable<BulkAdjustment> | Iterable<BulkAdjustment>,
      options?: BulkOptions,
    ): AsyncGenerator<Answered<BulkAdjustment, BulkAdjustmentAnswer>> =>
      bulk({ connection, path: '/v1/stock/bulk' }, items, options),
  }
}

function locations(connection: Connection) {
  return {
    list: (options?: CallOptions) =>
      call<api.LocationList>(connection, { method: 'GET', path: '/v1/locations' }, options),
    put: (code: string, location: api.PutLocation, options?: CallOptions) =>
      call<api.Location>(
        connection,
        { method: 'PUT', path: `/v1/locations/${segment(code)}`, body: location },
        options,
      ),
  }
}

function events(connection: Connection) {
  return {
    page: (query: api.EventQuery = {}, options?: CallOptions) =>
      call<api.EventPage>(connection, { method: 'GET', path: '/v1/events', query }, options),
    /** Endless, oldest first, over broken connections; ends when `signal` is aborted. */
    stream: (options: StreamOptions = {}) => streamEvents<api.HoldfastEvent>(connection, '/v1/events', options),
  }
}

/** A visitor keeps one name on a device where there is somewhere to keep it, so that a reload does not make a stranger. */
function ownVisitor(): string {
  if (!('document' in globalThis)) return randomId()
  try {
    const kept = localStorage.getItem('holdfast-visitor') ?? randomId()
    localStorage.setItem('holdfast-visitor', kept)
    return kept
  } catch {
    return randomId() // storage is switched off
  }
}
