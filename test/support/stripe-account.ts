// The account behind the stand-in of Stripe: intents and refunds as Stripe documents them, kept as JSON lines when it is given
// a file. What one request changes is one line, so a stand-in that is killed has done a request wholly or not at all.
import { randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

// biome-ignore lint/suspicious/noExplicitAny: what Stripe sends is read by tests, which fail when it is not there
export type Thing = Record<string, any>
export type Reply = { status: number; body: Thing }
/** A form, `a[b]=c` as { a: { b: 'c' } }. */
export type Form = { [name: string]: string | Form }

/** What a request leaves behind. */
type Change = { intents: Thing[]; refunds: Thing[]; disputes?: Thing[]; events: Thing[]; key: KeptKey | null }
export type KeptKey = { key: string; request: string; reply: Reply }

const declines: Record<string, [code: string, declineCode?: string]> = {
  pm_card_chargeDeclined: ['card_declined', 'generic_decline'],
  pm_card_chargeDeclinedInsufficientFunds: ['card_declined', 'insufficient_funds'],
  pm_card_chargeDeclinedLostCard: ['card_declined', 'lost_card'],
  pm_card_chargeDeclinedStolenCard: ['card_declined', 'stolen_card'],
  pm_card_chargeDeclinedExpiredCard: ['expired_card'],
  pm_card_chargeDeclinedIncorrectCvc: ['incorrect_cvc'],
  pm_card_chargeDeclinedProcessingError: ['processing_error'],
}
const good = new Set([
  'pm_card_visa',
  'pm_card_mastercard',
  'pm_card_pendingRefund',
  'pm_card_refundFail',
  'ctoken_card_visa',
])
const needsAction = 'pm_card_authenticationRequired'

export function openAccount(file?: string) {
  const intents = new Map<string, Thing>()
  const refunds = new Map<string, Thing>()
  const disputes = new Map<string, Thing>()
  const keys = new Map<string, KeptKey>()
  const events: Thing[] = []
  let change: Change = noChange()

  const apply = (one: Change): void => {
    for (const intent of one.intents) intents.set(intent.id, intent)
    for (const refund of one.refunds) refunds.set(refund.id, refund)
    for (const dispute of one.disputes ?? []) disputes.set(dispute.id, dispute)
    events.push(...one.events)
    if (one.key) keys.set(one.key.key, one.key)
  }
  if (file !== undefined && existsSync(file)) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const one = readLine(line)
      if (one) apply(one)
    }
  }

  /** Runs a request and keeps what it did, with the answer under its key. */
  function run(work: () => Reply, kept: Omit<KeptKey, 'reply'> | null): Reply {
    change = noChange()
    const reply = work()
    if (kept) change.key = { ...kept, reply: structuredClone(reply) }
    const done = structuredClone(change)
    if (file !== undefined) appendFileSync(file, `\n${JSON.stringify(done)}`) // the line end first: a torn line spoils no other
    apply(done)
    return structuredClone(reply)
  }

  const tell = (type: string, object: Thing): void => {
    change.events.push({
      id: `evt_${plainId()}`,
      object: 'event',
      type,
      created: seconds(),
      livemode: false,
      pending_webhooks: 1,
      data: { object: structuredClone(object) },
    })
  }

  const save = (intent: Thing, type?: string): Reply => {
    change.intents.push(intent)
    if (type) tell(type, intent)
    return { status: 200, body: intent }
  }

  function create(form: Form): Reply {
    const amount = Number(form.amount)
    const method = String(form.payment_method ?? form.confirmation_token ?? '')
    if (!good.has(method) && !declines[method] && method !== needsAction)
      return failed(400, {
        type: 'invalid_request_error',
        code: 'resource_missing',
        param: 'payment_method',
        message: `No such PaymentMethod: '${method}'`,
      })
    const id = `pi_${plainId()}`
    const intent: Thing = {
      id,
      object: 'payment_intent',
      amount,
      amount_capturable: 0,
      amount_received: 0,
      capture_method: form.capture_method ?? 'automatic',
      client_secret: `${id}_secret_${plainId()}`,
      created: seconds(),
      currency: form.currency,
      last_payment_error: null,
      latest_charge: null,
      livemode: false,
      metadata: form.metadata ?? {},
      next_action: null,
      payment_method: method,
      status: 'requires_confirmation',
    }
    return charge(intent, method)
  }

  /** Confirms with a method: the money is taken or set aside, declined, or the buyer has to do something. */
  function charge(intent: Thing, method: string): Reply {
    if (method === needsAction) {
      intent.status = 'requires_action'
      intent.next_action = { type: 'use_stripe_sdk', use_stripe_sdk: { type: 'three_d_secure_redirect' } }
      return save(intent, 'payment_intent.requires_action')
    }
    const decline = declines[method]
    return decline ? declined(intent, ...decline) : pay(intent)
  }

  function pay(intent: Thing): Reply {
    intent.next_action = null
    intent.last_payment_error = null
    intent.latest_charge = {
      id: `ch_${plainId()}`,
      object: 'charge',
      amount: intent.amount,
      amount_refunded: 0,
      payment_intent: intent.id,
      metadata: intent.metadata,
    }
    if (intent.capture_method === 'manual') {
      intent.status = 'requires_capture'
      intent.amount_capturable = intent.amount
      return save(intent, 'payment_intent.amount_capturable_updated')
    }
    intent.status = 'succeeded'
    intent.amount_received = intent.amount
    return save(intent, 'payment_intent.succeeded')
  }

  function declined(intent: Thing, code: string, declineCode?: string): Reply {
    const error = {
      type: 'card_error',
      code,
      ...(declineCode ? { decline_code: declineCode } : {}),
      message: 'Your card was declined.',
    }
    Object.assign(intent, { status: 'requires_payment_method', next_action: null, last_payment_error: error })
    save(intent, 'payment_intent.payment_failed')
    return failed(402, { ...error, payment_intent: intent })
  }

  function capture(intent: Thing, form: Form): Reply {
    if (intent.status !== 'requires_capture') return unexpected(intent, 'captured')
    const amount = form.amount_to_capture === undefined ? intent.amount_capturable : Number(form.amount_to_capture)
    if (amount > intent.amount_capturable)
      return failed(400, { type: 'invalid_request_error', code: 'amount_too_large', param: 'amount_to_capture' })
    Object.assign(intent, { status: 'succeeded', amount_received: amount, amount_capturable: 0 })
    return save(intent, 'payment_intent.succeeded')
  }

  function cancel(intent: Thing): Reply {
    if (['succeeded', 'canceled', 'processing'].includes(intent.status)) return unexpected(intent, 'canceled')
    Object.assign(intent, { status: 'canceled', amount_capturable: 0, next_action: null })
    return save(intent, 'payment_intent.canceled')
  }

  function refund(form: Form): Reply {
    const intent = structuredClone(intents.get(String(form.payment_intent)))
    if (!intent) return missing('payment_intent')
    if (intent.latest_charge?.disputed) return failed(400, { type: 'invalid_request_error', code: 'charge_disputed' })
    const left = intent.amount_received - (intent.latest_charge?.amount_refunded ?? 0)
    const amount = form.amount === undefined ? left : Number(form.amount)
    if (left === 0) return failed(400, { type: 'invalid_request_error', code: 'charge_already_refunded' })
    if (amount > left) return failed(400, { type: 'invalid_request_error', param: 'amount' })
    intent.latest_charge.amount_refunded += amount
    const made: Thing = {
      id: `re_${plainId()}`,
      object: 'refund',
      amount,
      charge: intent.latest_charge.id,
      created: seconds(),
      currency: intent.currency,
      metadata: form.metadata ?? {},
      payment_intent: intent.id,
      status: intent.payment_method === 'pm_card_pendingRefund' ? 'pending' : 'succeeded',
    }
    change.refunds.push(made)
    change.intents.push(intent)
    tell('refund.created', made)
    tell('charge.refunded', intent.latest_charge)
    return { status: 200, body: made }
  }

  /** The last word on a refund, which banks give days later. */
  function endRefund(id: string, status: 'succeeded' | 'failed'): void {
    run(() => {
      const made = structuredClone(refunds.get(id)!)
      made.status = status
      if (status === 'failed') {
        made.failure_reason = 'expired_or_canceled_card'
        const intent = structuredClone(intents.get(made.payment_intent)!)
        intent.latest_charge.amount_refunded -= made.amount
        change.intents.push(intent)
      }
      change.refunds.push(made)
      tell(status === 'failed' ? 'refund.failed' : 'refund.updated', made)
      return { status: 200, body: made }
    }, null)
  }

  /** As somebody does it in Stripe's dashboard: without any names of ours. Answers its id. */
  const refundByHand = (intent: string, amount: number): string =>
    run(() => refund({ payment_intent: intent, amount: String(amount) }), null).body.id

  /** The buyer's bank asks for his money back. Stripe takes it at once, and gives it back if it is won. */
  function dispute(intentId: string): string {
    const id = `du_${plainId()}`
    run(() => {
      const intent = structuredClone(intents.get(intentId)!)
      intent.latest_charge.disputed = true
      const made = {
        id,
        object: 'dispute',
        amount: intent.amount_received - intent.latest_charge.amount_refunded,
        charge: intent.latest_charge.id,
        created: seconds(),
        currency: intent.currency,
        metadata: {},
        payment_intent: intent.id,
        reason: 'product_not_received',
        status: 'needs_response',
      }
      change.intents.push(intent)
      change.disputes = [made]
      tell('charge.dispute.created', made)
      tell('charge.dispute.funds_withdrawn', made)
      return { status: 200, body: made }
    }, null)
    return id
  }

  function endDispute(id: string, status: 'won' | 'lost'): void {
    run(() => {
      const ended = { ...structuredClone(disputes.get(id)!), status }
      change.disputes = [ended]
      tell('charge.dispute.closed', ended)
      return { status: 200, body: ended }
    }, null)
  }

  /** The buyer's part of `requires_action`. */
  function authenticate(id: string, passes: boolean): void {
    run(() => {
      const intent = structuredClone(intents.get(id)!)
      return passes ? pay(intent) : declined(intent, 'payment_intent_authentication_failure')
    }, null)
  }

  function post(path: string, form: Form): Reply {
    if (path === '/v1/payment_intents') return create(form)
    if (path === '/v1/refunds') return refund(form)
    const [, , , id = '', action = ''] = path.split('/')
    const intent = structuredClone(intents.get(id))
    if (!intent) return missing('intent')
    if (action === 'capture') return capture(intent, form)
    if (action === 'cancel') return cancel(intent)
    if (action !== 'confirm') return failed(404, { type: 'invalid_request_error', message: 'Unrecognized request URL' })
    return charge(intent, String(form.payment_method ?? intent.payment_method))
  }

  function get(path: string, form: Form): Reply {
    const [, , kind = '', id] = path.split('/')
    const things = { refunds, disputes }[kind] ?? intents
    if (id === 'search') {
      const [, name = '', value] = /^metadata\['(\w+)'\]:'([^']*)'$/.exec(String(form.query)) ?? []
      const data = [...things.values()].filter(({ metadata }) => metadata[name] === value)
      return { status: 200, body: { object: 'search_result', data: structuredClone(data), has_more: false } }
    }
    if (id !== undefined) {
      const found = things.get(id)
      return found ? { status: 200, body: withRefunds(structuredClone(found)) } : missing('id')
    }
    const reply = listed([...things.values()], form)
    reply.body.data.forEach(withRefunds)
    return reply
  }

  /** The ten newest, as a charge shows them when it is asked to. */
  function withRefunds(thing: Thing): Thing {
    if (!thing.latest_charge) return thing
    const all = [...refunds.values()].filter(({ charge }) => charge === thing.latest_charge.id)
    thing.latest_charge.refunds = { object: 'list', ...listed(all, {}).body }
    return thing
  }

  return {
    run,
    post,
    get,
    authenticate,
    endRefund,
    refundByHand,
    dispute,
    endDispute,
    kept: (key: string) => keys.get(key),
    intents: (): Thing[] => structuredClone([...intents.values()]),
    refunds: (): Thing[] => structuredClone([...refunds.values()]),
    events,
  }
}
export type Account = ReturnType<typeof openAccount>

/** Newest first, as Stripe lists; `created` and `payment_intent` filter, `starting_after` goes on. */
function listed(things: Thing[], form: Form): Reply {
  const created = (typeof form.created === 'object' ? form.created : {}) as Record<string, string>
  const data = things
    .filter(
      (one) =>
        one.created >= Number(created.gte ?? 0) &&
        one.created > Number(created.gt ?? -1) &&
        one.created <= Number(created.lte ?? Infinity),
    )
    .filter((one) => form.payment_intent === undefined || one.payment_intent === form.payment_intent)
    .toReversed()
  const from = form.starting_after === undefined ? 0 : data.findIndex(({ id }) => id === form.starting_after) + 1
  const limit = Number(form.limit ?? 10)
  const page = structuredClone(data.slice(from, from + limit))
  return { status: 200, body: { object: 'list', data: page, has_more: data.length > from + limit, url: '/' } }
}

/** Undefined for a line that was cut short: its request was never answered. */
function readLine(line: string): Change | undefined {
  try {
    return JSON.parse(line) as Change
  } catch {
    return undefined
  }
}

/** An intent names its charge only, and a charge no refunds, unless they are asked to show them. */
export function shown(body: Thing, { expand = {} }: Form): Thing {
  const asked = Object.values(expand).map((path) => String(path).replace(/^data\./, ''))
  if (asked.includes('latest_charge.refunds')) return body
  const collapse = (thing: Thing): Thing => {
    if (!thing.latest_charge) return thing
    const { refunds: _, ...charge } = thing.latest_charge
    return { ...thing, latest_charge: asked.includes('latest_charge') ? charge : charge.id }
  }
  if (body.object === 'list') return { ...body, data: body.data.map(collapse) }
  return collapse(body)
}

const noChange = (): Change => ({ intents: [], refunds: [], events: [], key: null })
const plainId = (): string => randomUUID().replaceAll('-', '')
const seconds = (): number => Math.floor(Date.now() / 1000)

export const failed = (status: number, error: Thing): Reply => ({ status, body: { error } })

const missing = (param: string): Reply =>
  failed(404, { type: 'invalid_request_error', code: 'resource_missing', param, message: 'No such thing' })

const unexpected = (intent: Thing, what: string): Reply =>
  failed(400, {
    type: 'invalid_request_error',
    code: 'payment_intent_unexpected_state',
    message: `This PaymentIntent could not be ${what} because it has a status of ${intent.status}.`,
    payment_intent: intent,
  })
