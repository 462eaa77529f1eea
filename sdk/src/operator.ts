// The calls of those who run a shop: who is told of events, what was booked, the settings, what was given up, the
// consumers of the log, and the cells.
import type * as api from './api.ts'
import { type CallOptions, type Connection, call, cellOf, type IfVersion, present, segment } from './connection.ts'
import { type PulseStreamOptions, streamPulses } from './pulse.ts'

export function webhookEndpoints(connection: Connection) {
  const at = (id: string): string => `/v1/webhook-endpoints/${segment(id)}`
  return {
    /** Its secret, which verifies signatures, is in this answer alone. */
    make: (endpoint: api.MakeWebhookEndpoint, options?: CallOptions) =>
      call<api.WebhookEndpointWithSecret>(
        connection,
        { method: 'POST', path: '/v1/webhook-endpoints', body: endpoint },
        options,
      ),
    get: (id: string, options?: CallOptions) =>
      call<api.WebhookEndpoint>(connection, { method: 'GET', path: at(id) }, options),
    /** All, newest first. */
    list: (options?: CallOptions) =>
      call<api.WebhookEndpointList>(connection, { method: 'GET', path: '/v1/webhook-endpoints' }, options),
    /** What is left out stays as it is. Enabling it also forgets past failures. */
    change: (id: string, body: api.ChangeWebhookEndpoint, options?: CallOptions) =>
      call<api.WebhookEndpoint>(connection, { method: 'PATCH', path: at(id), body }, options),
    delete: (id: string, options?: CallOptions) =>
      call<undefined>(connection, { method: 'DELETE', path: at(id) }, options),
    /** For a day requests are signed by the old secret too. */
    rotateSecret: (id: string, options?: CallOptions) =>
      call<api.WebhookEndpointWithSecret>(
        connection,
        { method: 'POST', path: `${at(id)}/rotate-secret`, homeCell: cellOf(id) },
        options,
      ),
    /** Sends it an event `webhook.test`; the delivery tells what came of it. */
    test: (id: string, options?: CallOptions) =>
      call<api.WebhookDelivery>(connection, { method: 'POST', path: `${at(id)}/test`, homeCell: cellOf(id) }, options),
  }
}

export function webhookDeliveries(connection: Connection) {
  const at = (id: string): string => `/v1/webhook-deliveries/${segment(id)}`
  return {
    /** Newest first. */
    list: (query: api.WebhookDeliveryQuery = {}, options?: CallOptions) =>
      call<api.WebhookDeliveryList>(connection, { method: 'GET', path: '/v1/webhook-deliveries', query }, options),
    /** With its attempts and the body that is sent. */
    get: (id: string, options?: CallOptions) =>
      call<api.WebhookDeliveryWithAttempts>(connection, { method: 'GET', path: at(id) }, options),
    /** Whatever came of it, under the same `webhook-id`. */
    redeliver: (id: string, options?: CallOptions) =>
      call<api.WebhookDelivery>(
        connection,
        { method: 'POST', path: `${at(id)}/redeliver`, homeCell: cellOf(id) },
        options,
      ),
  }
}

export function ledger(connection: Connection) {
  return {
    /** What every account has come to. */
    balances: (query: api.LedgerBalanceQuery = {}, options?: CallOptions) =>
      call<api.LedgerBalanceList>(connection, { method: 'GET', path: '/v1/ledger/balances', query }, options),
    /** Oldest first; `after` is the `next_cursor` of the page before. */
    entries: (query: api.LedgerEntryQuery = {}, options?: CallOptions) =>
      call<api.LedgerEntryList>(connection, { method: 'GET', path: '/v1/ledger/entries', query }, options),
    /** A fee, or what will never be paid. */
    book: (booking: api.BookLedgerEntry, options?: CallOptions) =>
      call<api.LedgerBooking>(
        connection,
        { method: 'POST', path: '/v1/ledger/entries', body: booking, homeCell: cellOf(booking.order_id) },
        options,
      ),
  }
}

export function settings(connection: Connection) {
  return {
    get: (options?: CallOptions) => call<api.Settings>(connection, { method: 'GET', path: '/v1/settings' }, options),
    /** All of them: what is left out takes its default. */
    put: (body: api.PutSettings, { ifMatch, ...options }: CallOptions & IfVersion = {}) =>
      call<api.Settings>(
        connection,
        { method: 'PUT', path: '/v1/settings', body, headers: present({ 'if-match': ifMatch }) },
        options,
      ),
    /** Every version, newest first. */
    history: (query: api.Page = {}, options?: CallOptions) =>
      call<api.SettingsList>(connection, { method: 'GET', path: '/v1/settings/history', query }, options),
  }
}

export function deadLetters(connection: Connection) {
  const at = (id: string): string => `/v1/dead-letters/${segment(id)}`
  return {
    list: (query: api.DeadLetterQuery = {}, options?: CallOptions) =>
      call<api.DeadLetterList>(connection, { method: 'GET', path: '/v1/dead-letters', query }, options),
    get: (id: string, options?: CallOptions) =>
      call<api.DeadLetter>(connection, { method: 'GET', path: at(id) }, options),
    /** Answers it as it was, with the id that it has from now on. */
    retry: (id: string, options?: CallOptions) =>
      call<api.DeadLetter>(connection, { method: 'POST', path: `${at(id)}/retry` }, options),
    /** For good; why is kept. */
    drop: (id: string, reason: string, options?: CallOptions) =>
      call<undefined>(connection, { method: 'DELETE', path: at(id), query: { reason } }, options),
    /** What was dropped, why and by which key, newest first. */
    dropped: (query: api.Page = {}, options?: CallOptions) =>
      call<api.DroppedLetterList>(connection, { method: 'GET', path: '/v1/dead-letters/dropped', query }, options),
  }
}

export function consumers(connection: Connection) {
  const step = (name: string, action: string, body: object | undefined, options?: CallOptions): Promise<api.Consumer> =>
    call<api.Consumer>(
      connection,
      { method: 'POST', path: `/v1/consumers/${segment(name)}/${action}`, ...(body ? { body } : {}) },
      options,
    )
  return {
    list: (options?: CallOptions) =>
      call<api.ConsumerList>(connection, { method: 'GET', path: '/v1/consumers' }, options),
    /** Applies nothing more until it is resumed. */
    pause: (name: string, options?: CallOptions) => step(name, 'pause', undefined, options),
    resume: (name: string, options?: CallOptions) => step(name, 'resume', undefined, options),
    /** Reads again from a position, or from `start`; what was applied is not applied again. */
    rewind: (name: string, body: api.RewindConsumer, options?: CallOptions) => step(name, 'rewind', body, options),
  }
}

export function cells(connection: Connection) {
  return {
    /** The topology, and what the cell that answers knows of each. */
    list: (options?: CallOptions) => call<api.CellList>(connection, { method: 'GET', path: '/v1/cells' }, options),
    /** The next version, whole, over the one that `ifMatch` names; the other cells hear of it by themselves. */
    putTopology: (body: api.PutTopology, { ifMatch, ...options }: CallOptions & Required<IfVersion>) =>
      call<api.Topology>(
        connection,
        { method: 'PUT', path: '/v1/topology', body, headers: { 'if-match': ifMatch } },
        options,
      ),
  }
}

export function pulse(connection: Connection) {
  return {
    /** What the cell that answers knows of itself now, without asking its database. */
    read: (options?: CallOptions) => call<api.Pulse>(connection, { method: 'GET', path: '/v1/pulse' }, options),
    /** One a second over one connection; throws HoldfastError when it breaks or falls silent, ends when `signal` is aborted. */
    stream: (options: PulseStreamOptions = {}) => streamPulses<api.Pulse>(connection, '/v1/pulse', options),
  }
}

/** Faults on purpose, of the cell that answers: in the development profile only, elsewhere `not_found`. */
export function chaos(connection: Connection) {
  const step = (name: string, action: 'stop' | 'start', options?: CallOptions) =>
    call<undefined>(connection, { method: 'POST', path: `/v1/chaos/cells/${segment(name)}/${action}` }, options)
  const sale = '/v1/chaos/sales/current'
  return {
    read: (options?: CallOptions) => call<api.Chaos>(connection, { method: 'GET', path: '/v1/chaos' }, options),
    /** From all other cells, both ways; its buyers still reach it. */
    cutOff: (cutOff: boolean, options?: CallOptions) =>
      call<api.Chaos>(
        connection,
        { method: 'PUT', path: '/v1/chaos/network', body: { cut_off: cutOff } satisfies api.ChaosNetwork },
        options,
      ),
    /** How late the test provider answers, and which part of its answers is lost. */
    setProvider: (body: api.ChaosProvider, options?: CallOptions) =>
      call<api.Chaos>(connection, { method: 'PUT', path: '/v1/chaos/provider', body }, options),
    /** Any cell of the same `holdfast start`, the one that answers too. Begun when it is answered, and seen by the pulse when it is done. */
    stopCell: (name: string, options?: CallOptions) => step(name, 'stop', options),
    startCell: (name: string, options?: CallOptions) => step(name, 'start', options),
    /** Begun when it is answered; `sale` tells how it goes. */
    startSale: (body: api.StartSale, options?: CallOptions) =>
      call<api.Sale>(connection, { method: 'POST', path: '/v1/chaos/sales', body }, options),
    /** The one that runs, or the last one. */
    sale: (options?: CallOptions) => call<api.Sale>(connection, { method: 'GET', path: sale }, options),
    stopSale: (options?: CallOptions) => call<api.Sale>(connection, { method: 'DELETE', path: sale }, options),
  }
}
