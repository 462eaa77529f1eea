// Names for the shapes in openapi.json, by route: generated/api.ts is the only place that spells them out.
import type { paths } from './generated/api.ts'

type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : never

export type RequestBody<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  requestBody?: infer Body
}
  ? Json<NonNullable<Body>>
  : never

export type AnswerBody<
  Path extends keyof paths,
  Method extends keyof paths[Path],
  Status extends number,
> = paths[Path][Method] extends {
  responses: { [status in Status]: infer Answer }
}
  ? Json<Answer>
  : never

export type Query<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
  parameters: { query?: infer Parameters }
}
  ? NonNullable<Parameters>
  : never

export type PlaceOrder = RequestBody<'/v1/orders', 'post'>
export type Order = AnswerBody<'/v1/orders/{id}', 'get', 200>
export type OrderList = AnswerBody<'/v1/orders', 'get', 200>
export type OrderQuery = Query<'/v1/orders', 'get'>
export type OrderHistory = AnswerBody<'/v1/orders/{id}/events', 'get', 200>
export type CancelOrder = RequestBody<'/v1/orders/{id}/cancel', 'post'>

export type EditOrder = RequestBody<'/v1/orders/{id}', 'patch'>
export type ShortPick = RequestBody<'/v1/orders/{id}/short-picks', 'post'>

export type Pay = RequestBody<'/v1/orders/{id}/payments', 'post'>
export type Payment = AnswerBody<'/v1/orders/{id}/payments', 'post', 201>
export type PaymentList = AnswerBody<'/v1/orders/{id}/payments', 'get', 200>
export type RefundOrder = RequestBody<'/v1/orders/{id}/refunds', 'post'>
export type Refund = AnswerBody<'/v1/orders/{id}/refunds', 'post', 201>
export type RefundList = AnswerBody<'/v1/orders/{id}/refunds', 'get', 200>
export type Page = Query<'/v1/orders/{id}/refunds', 'get'>

export type ShipOrder = RequestBody<'/v1/orders/{id}/shipments', 'post'>
export type PickOrder = RequestBody<'/v1/orders/{id}/picks', 'post'>
export type ShipShipment = RequestBody<'/v1/shipments/{id}/ship', 'post'>
export type WorkList = AnswerBody<'/v1/fulfilment', 'get', 200>
export type WorkQuery = Query<'/v1/fulfilment', 'get'>
export type Shipment = AnswerBody<'/v1/shipments/{id}', 'get', 200>
export type RequestReturn = RequestBody<'/v1/orders/{id}/returns', 'post'>
export type ExchangeOrder = RequestBody<'/v1/orders/{id}/exchanges', 'post'>
export type Exchange = AnswerBody<'/v1/orders/{id}/exchanges', 'post', 201>
export type ReceiveReturn = RequestBody<'/v1/returns/{id}/receive', 'post'>
export type Return = AnswerBody<'/v1/returns/{id}', 'get', 200>

export type PlaceHold = RequestBody<'/v1/holds', 'post'>
export type ExtendHold = RequestBody<'/v1/holds/{id}/extend', 'post'>
export type Hold = AnswerBody<'/v1/holds/{id}', 'get', 200>

export type Adjustment = RequestBody<'/v1/stock/adjustments', 'post'>['adjustments'][number]
export type AdjustedStock = AnswerBody<'/v1/stock/adjustments', 'post', 200>
export type StockLevel = AnswerBody<'/v1/stock/{sku}', 'get', 200>
export type TransferList = AnswerBody<'/v1/transfers', 'get', 200>
export type TransferQuery = Query<'/v1/transfers', 'get'>
export type StockList = AnswerBody<'/v1/stock', 'get', 200>
export type SetPolicy = RequestBody<'/v1/stock/{sku}/policy', 'put'>
export type SetPolicies = RequestBody<'/v1/stock/policies', 'put'>['policies']
export type PolicyList = AnswerBody<'/v1/stock/policies', 'put', 200>
export type Policy = AnswerBody<'/v1/stock/{sku}/policy', 'put', 200>

export type PutLocation = RequestBody<'/v1/locations/{code}', 'put'>
export type Location = AnswerBody<'/v1/locations/{code}', 'put', 200>
export type LocationList = AnswerBody<'/v1/locations', 'get', 200>

export type EventPage = AnswerBody<'/v1/events', 'get', 200>
export type EventQuery = Query<'/v1/events', 'get'>
export type HoldfastEvent = EventPage['data'][number]
export type Audit = AnswerBody<'/v1/audit', 'get', 200>
export type ObjectiveList = AnswerBody<'/v1/objectives', 'get', 200>
export type SlowQueries = AnswerBody<'/v1/slow-queries', 'get', 200>

export type WebhookEndpoint = AnswerBody<'/v1/webhook-endpoints/{id}', 'get', 200>
export type WebhookEndpointWithSecret = AnswerBody<'/v1/webhook-endpoints', 'post', 201>
export type WebhookEndpointList = AnswerBody<'/v1/webhook-endpoints', 'get', 200>
export type MakeWebhookEndpoint = RequestBody<'/v1/webhook-endpoints', 'post'>
export type ChangeWebhookEndpoint = RequestBody<'/v1/webhook-endpoints/{id}', 'patch'>
export type WebhookDelivery = AnswerBody<'/v1/webhook-deliveries/{id}/redeliver', 'post', 200>
export type WebhookDeliveryWithAttempts = AnswerBody<'/v1/webhook-deliveries/{id}', 'get', 200>
export type WebhookDeliveryList = AnswerBody<'/v1/webhook-deliveries', 'get', 200>
export type WebhookDeliveryQuery = Query<'/v1/webhook-deliveries', 'get'>

export type LedgerBalanceList = AnswerBody<'/v1/ledger/balances', 'get', 200>
export type LedgerBalanceQuery = Query<'/v1/ledger/balances', 'get'>
export type LedgerEntryList = AnswerBody<'/v1/ledger/entries', 'get', 200>
export type LedgerEntryQuery = Query<'/v1/ledger/entries', 'get'>
export type BookLedgerEntry = RequestBody<'/v1/ledger/entries', 'post'>
export type LedgerBooking = AnswerBody<'/v1/ledger/entries', 'post', 201>

export type Settings = AnswerBody<'/v1/settings', 'get', 200>
export type PutSettings = RequestBody<'/v1/settings', 'put'>
export type SettingsList = AnswerBody<'/v1/settings/history', 'get', 200>

export type DeadLetter = AnswerBody<'/v1/dead-letters/{id}', 'get', 200>
export type DeadLetterList = AnswerBody<'/v1/dead-letters', 'get', 200>
export type DeadLetterQuery = Query<'/v1/dead-letters', 'get'>
export type DroppedLetterList = AnswerBody<'/v1/dead-letters/dropped', 'get', 200>

export type CellList = AnswerBody<'/v1/cells', 'get', 200>
export type Topology = AnswerBody<'/v1/topology', 'put', 200>
export type PutTopology = RequestBody<'/v1/topology', 'put'>

export type Consumer = AnswerBody<'/v1/consumers/{name}/pause', 'post', 200>
export type ConsumerList = AnswerBody<'/v1/consumers', 'get', 200>
export type RewindConsumer = RequestBody<'/v1/consumers/{name}/rewind', 'post'>

export type Session = AnswerBody<'/v1/session', 'get', 200>
/** It needs no key. */
export type ControlRoom = AnswerBody<'/control-room.json', 'get', 200>

export type Pulse = AnswerBody<'/v1/pulse', 'get', 200>

export type Chaos = AnswerBody<'/v1/chaos', 'get', 200>
export type ChaosNetwork = RequestBody<'/v1/chaos/network', 'put'>
export type ChaosProvider = RequestBody<'/v1/chaos/provider', 'put'>
export type StartSale = RequestBody<'/v1/chaos/sales', 'post'>
export type Sale = AnswerBody<'/v1/chaos/sales/current', 'get', 200>
