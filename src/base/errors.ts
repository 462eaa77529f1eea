// The one table of what can go wrong, as a caller sees it. It generates docs/generated/ERRORS.md, the `type` of each
// problem+json, and the union that refusals use; a test compares table, docs and OpenAPI.

export type ErrorKind = {
  status: number
  title: string
  /** May the same request succeed later, unchanged? */
  retry: boolean
  /** What the buyer's program does. */
  caller: string
  /** What whoever runs the cell does. */
  operator: string
}

const nothing = 'Nothing.'
const fix = 'Correct the request.'

export const errorTable = {
  // 400: not parseable, or breaks the schema
  invalid_json: kind(400, 'The body is not JSON', false, fix, nothing),
  invalid_body: kind(400, 'The body breaks the schema', false, fix, nothing),
  invalid_parameter: kind(400, 'A path, query or header value breaks the schema', false, fix, nothing),
  unknown_field: kind(400, 'A field is not known', false, 'Remove the field.', nothing),
  idempotency_key_required: kind(
    400,
    'Idempotency-Key is missing',
    false,
    'Send a random key per intent, and the same on retries.',
    nothing,
  ),
  idempotency_key_invalid: kind(400, 'Idempotency-Key is not 1–255 visible ASCII characters', false, fix, nothing),
  visitor_required: kind(
    400,
    'holdfast-visitor is missing',
    false,
    'Send 16–64 random visible ASCII characters per visitor.',
    nothing,
  ),
  cursor_invalid: kind(400, 'The cursor or position is not one of ours', false, 'Start again without it.', nothing),
  webhook_signature_invalid: kind(
    400,
    'The signature is not the provider’s',
    false,
    nothing,
    'Compare the webhook secret with the provider’s; else somebody forges events.',
  ),
  webhook_too_old: kind(
    400,
    'The event was signed too long ago',
    false,
    'Sign it anew: an old one may be a replay.',
    'Compare the clocks.',
  ),

  malformed_request: kind(400, 'The request is not HTTP as we speak it', false, fix, nothing),

  // 401, 403, 404, 405, 408, 410, 412, 413, 415, 421, 428, 431
  unauthorized: kind(
    401,
    'No valid key',
    false,
    'Send Authorization: Bearer <key>.',
    'Check that the key was not revoked.',
  ),
  peer_unknown: kind(
    401,
    'The cell that sent it is not in the topology, or was removed',
    false,
    nothing,
    'Add the cell, or stop it: see holdfast cells list.',
  ),
  peer_signature_invalid: kind(
    401,
    'The signature of the cell is missing, not its own, or of another request',
    false,
    nothing,
    'Compare the cell’s key with its public key in the topology; else somebody forges requests.',
  ),
  peer_clock_skewed: kind(
    401,
    'The cell signed it at another time than now',
    true,
    nothing,
    'Compare the clocks of the two cells.',
  ),
  peer_replayed: kind(401, 'This very request of the cell was seen before', false, nothing, nothing),
  forbidden: kind(403, 'The key lacks the scope', false, 'Use a key with the scope.', 'Issue a key with the scope.'),
  no_catalogue_price: kind(
    403,
    'Storefront keys buy at catalogue prices only, and there is none',
    false,
    'Place the order from your server.',
    'Price the SKU.',
  ),
  not_found: kind(404, 'Not found', false, fix, nothing),
  method_not_allowed: kind(405, 'The route does not know this method', false, fix, nothing),
  request_timeout: kind(408, 'The request did not arrive in time', true, 'Send it again with the same key.', nothing),
  position_expired: kind(
    410,
    'The position is older than the events that are kept',
    false,
    'Start again without a position.',
    'Keep events longer.',
  ),
  cell_removed: kind(
    410,
    'The cell has left, and what it held with it',
    false,
    'Look for what you want elsewhere; for something new, use a key that names a cell that is there.',
    'See GET /v1/cells.',
  ),
  precondition_failed: kind(412, 'If-Match names another version', false, 'Read it again, then decide.', nothing),
  body_too_large: kind(413, 'The body is too large', false, 'Split it, or use the bulk endpoint.', nothing),
  unsupported_media_type: kind(
    415,
    'The content type is not supported',
    false,
    'Send application/json (bulk: application/x-ndjson).',
    nothing,
  ),
  peer_wrong_receiver: kind(
    421,
    'The request is for another cell',
    false,
    nothing,
    'Compare the URLs in the topology with where the cells listen.',
  ),
  precondition_required: kind(428, 'If-Match is missing', false, 'Read it, and send its ETag as If-Match.', nothing),
  headers_too_large: kind(431, 'The headers are too large', false, fix, nothing),

  // 409: conflicts with the state of stock or of the thing
  insufficient_stock: kind(
    409,
    'Not enough units',
    true,
    'Offer less, or try later: units may come back.',
    'Receive stock.',
  ),
  hold_expired: kind(409, 'The hold has expired', false, 'Place a new hold.', nothing),
  hold_consumed: kind(409, 'The hold was used by an order', false, 'Read the order.', nothing),
  hold_released: kind(409, 'The hold was released', false, 'Place a new hold.', nothing),
  order_not_confirmed: kind(409, 'The order is not confirmed yet', true, 'Pay it, or wait.', nothing),
  order_shipped: kind(409, 'What it names has been shipped', false, 'Ask for a return.', nothing),
  order_not_paid: kind(
    409,
    'The order’s money is gone: its authorization or its capture failed',
    false,
    'Pay it again.',
    nothing,
  ),
  order_paid: kind(409, 'The order is paid', false, 'Read the order.', nothing),
  payment_in_progress: kind(409, 'Another attempt to pay is under way', true, 'Wait for its end.', nothing),
  nothing_to_capture: kind(409, 'No authorized payment waits for its capture', false, 'Read the order.', nothing),
  nothing_to_ship: kind(409, 'Nothing is left to ship there', false, 'Read the order.', nothing),
  units_in_parcel: kind(
    409,
    'The units are in a parcel that has not left',
    false,
    'Cancel that parcel first, or cancel all of the order.',
    nothing,
  ),
  shipment_not_packed: kind(409, 'The parcel is not packed yet', true, 'Pack it first.', nothing),
  shipment_not_shipped: kind(409, 'The parcel has not left yet', true, 'Ship it first.', nothing),
  shipment_shipped: kind(409, 'The parcel has left', false, 'Read the shipment.', nothing),
  shipment_cancelled: kind(
    409,
    'The parcel was given up',
    false,
    'Read the order: its units are to be picked again, or cancelled.',
    nothing,
  ),
  not_shipped: kind(409, 'More than was shipped, or is already coming back', false, fix, nothing),
  return_received: kind(409, 'The return was received', false, 'Read the order.', nothing),
  refund_too_large: kind(409, 'More than was captured and has not gone back', false, 'Refund less.', nothing),
  too_many_parts: kind(
    409,
    'The order has as many payments, refunds, shipments or returns as one may have',
    false,
    'Read the order.',
    nothing,
  ),
  nothing_to_refund: kind(409, 'What it names has cost nothing, or its price has gone back', false, fix, nothing),
  webhook_endpoints_full: kind(409, 'The shop has as many endpoints as it may', false, 'Delete one.', nothing),
  webhook_endpoint_disabled: kind(409, 'The endpoint is not enabled', false, 'Enable it first.', nothing),
  not_supervised: kind(
    409,
    'The holdfast start of this cell runs no such cell',
    false,
    'Name a cell that it runs.',
    'Start the cells together, or stop the process by hand.',
  ),
  sale_running: kind(409, 'A flash sale is running here', true, 'Wait for its end, or stop it.', nothing),
  not_in_review: kind(409, 'The order is not in review', false, 'Read the order.', nothing),
  order_cancelled: kind(409, 'The order is cancelled', false, 'Read the order.', nothing),
  dead_letter_blocked: kind(
    409,
    'An earlier one of the same subject stands in the dead letters',
    true,
    'Retry or drop that one first.',
    nothing,
  ),
  ledger_behind: kind(
    409,
    'The ledger has not booked all of the order yet',
    true,
    'Send it again in a second.',
    'Look at the consumer `ledger`.',
  ),
  write_off_too_large: kind(409, 'More than the order owes, or is owed', false, 'Read its entries.', nothing),
  cell_not_here: kind(
    409,
    'A cell is removed by a request to itself',
    false,
    'Send it to the URL of that cell.',
    'Use holdfast cells remove.',
  ),
  cell_not_emptied: kind(
    409,
    'Something of the cell is in flight',
    true,
    'Wait until GET /v1/cells says `emptied`.',
    'Look at its stock, holds, open orders and payments.',
  ),
  idempotency_key_in_flight: kind(
    409,
    'A request with this key is under way',
    true,
    'Wait Retry-After, then send it again with the same key.',
    nothing,
  ),
  reference_taken: kind(
    409,
    'Another order has this reference',
    false,
    'Use another reference, or read that order.',
    nothing,
  ),

  cell_claimed_twice: kind(
    409,
    'Another database has spoken for this cell since',
    false,
    nothing,
    'Stop one of the two that run under this name; the newer one is taken for the cell.',
  ),

  // 422: fits the schema, breaks a rule or names what does not exist
  idempotency_key_reused: kind(
    422,
    'This key was used with another request',
    false,
    'Use a new key for a new intent.',
    nothing,
  ),
  order_not_found: kind(422, 'The order does not exist', false, fix, nothing),
  sku_not_found: kind(422, 'The SKU does not exist', false, fix, 'Receive stock for it or set its policy.'),
  locations_of_several_cells: kind(
    422,
    'The locations have their homes in different cells',
    false,
    'Send the adjustments of each cell’s locations in a request of their own.',
    nothing,
  ),
  location_not_found: kind(422, 'The location does not exist', false, fix, 'PUT /v1/locations/{code} first.'),
  topology_invalid: kind(422, 'The topology does not hold together', false, fix, nothing),
  key_names_another_cell: kind(
    422,
    'The key names another cell than the hold’s',
    false,
    'Use a key that names the hold’s cell, or none.',
    nothing,
  ),
  cell_not_found: kind(422, 'The cell does not exist', false, fix, nothing),
  cell_drains: kind(422, 'The cell is about to leave', false, 'Name one that stays.', nothing),
  hold_not_found: kind(422, 'The hold does not exist', false, fix, nothing),
  hold_too_small: kind(422, 'The hold does not cover the order', false, 'Hold what you order.', nothing),
  line_not_found: kind(422, 'The order has no such line', false, fix, nothing),
  units_too_large: kind(422, 'More units than can be counted', false, fix, nothing),
  quantity_too_large: kind(422, 'More than the line has left', false, fix, nothing),
  amount_and_lines: kind(422, 'An amount and lines, where one says it all', false, 'Send one of the two.', nothing),
  currency_mismatch: kind(422, 'Prices are in more than one currency', false, fix, nothing),
  currency_unknown: kind(422, 'The currency is not in ISO 4217', false, fix, nothing),
  country_unknown: kind(422, 'The country is not in ISO 3166-1', false, fix, nothing),
  amount_too_large: kind(422, 'The total passes what can be charged', false, 'Split the order.', nothing),
  amount_mismatch: kind(422, 'The line’s amount is not quantity × unit_price', false, 'Send one of the two.', nothing),
  time_in_future: kind(422, 'The time has not come yet', false, fix, nothing),
  price_required: kind(422, 'The catalogue has no price for the SKU', false, 'Send unit_price.', nothing),
  provider_unknown: kind(422, 'The payment provider is not known', false, fix, 'Configure the provider.'),
  payment_method_unknown: kind(422, 'The provider does not know this method', false, fix, nothing),
  order_refused: kind(
    422,
    'The risk rules of the shop refuse the order',
    false,
    'Tell the buyer that it cannot be ordered.',
    'Look at the risk rules in the settings.',
  ),
  position_ahead: kind(
    422,
    'The position is ahead of the consumer, or of the log',
    false,
    'Name an earlier one, or say force.',
    nothing,
  ),
  not_available: kind(422, 'Not available in this version', false, 'Leave the field out.', nothing),
  reason_mismatch: kind(422, 'The reason does not fit the change', false, fix, nothing),

  url_not_allowed: kind(
    422,
    'The URL may not be called from here',
    false,
    'Give an https URL of a public host, without user name, on port 443 or 8443.',
    'See --webhook-ports.',
  ),
  event_type_unknown: kind(422, 'No event types are written like this', false, fix, nothing),

  // 5xx: not now
  overloaded: kind(
    503,
    'Too much at once; nothing was done',
    true,
    'Wait Retry-After, then send it again with the same key.',
    'Add a cell, or find out who floods it.',
  ),
  unavailable: kind(
    503,
    'The database cannot be reached',
    true,
    'Wait Retry-After, then send it again with the same key.',
    'Look at /readyz and the database.',
  ),
  outcome_unknown: kind(
    503,
    'It may or may not have happened',
    true,
    'Send it again with the same key: the answer will be the one order.',
    'Look at /readyz and the database.',
  ),
  standby_unreachable: kind(
    503,
    'The cell’s standby in another region is out of reach; nothing was done',
    true,
    'Wait Retry-After, then send it again with the same key, or order from another cell.',
    'Look at the standby and at pg_stat_replication; a cell that may lose its region’s last orders runs with durability local.',
  ),
  cell_frozen: kind(
    503,
    'The cell was restored or promoted and is not reconciled yet; nothing was done',
    true,
    'Order from another cell; what belongs to this one waits Retry-After.',
    'Run holdfast reconcile: it tells what is missing.',
  ),
  cell_isolated: kind(
    503,
    'The cell hears no other, and sells nothing until it does; nothing was done',
    true,
    'Wait Retry-After, then send it again with the same key.',
    'Look at the network between the cells; holdfast cells set NAME --on-isolation sell lets it go on alone.',
  ),
  cell_unreachable: kind(
    503,
    'The cell that it belongs to is out of reach',
    true,
    'Send it again, to any cell, with the same key; with another only if may_have_happened is false.',
    'Look at that cell, and at the network between.',
  ),
  provider_unavailable: kind(
    503,
    'The payment provider does not answer',
    true,
    'Send it again.',
    'Look at the provider’s status page and the log.',
  ),
  draining: kind(503, 'The server is stopping', true, 'Send it again with the same key.', nothing),
  too_many_hops: kind(
    508,
    'Cells forwarded it to each other',
    true,
    'Send it again with the same key.',
    'Compare the topologies of the cells: they disagree for longer than a moment.',
  ),
  internal: kind(500, 'A fault of ours', true, 'Send it again with the same key.', 'Find the request id in the log.'),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorTable

function kind(status: number, title: string, retry: boolean, caller: string, operator: string): ErrorKind {
  return { status, title, retry, caller, operator }
}
