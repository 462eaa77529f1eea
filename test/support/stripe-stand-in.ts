// A stand-in for Stripe on loopback that keeps what Stripe documents: idempotent replay, the refusal of a key with other
// parameters, 409 while a key's first request runs, declines by method, authentication, webhooks; and goes wrong when told.
// Run as a program it is durable and posts its events by itself: node stripe-stand-in.ts PORT FILE [WEBHOOK_URL SECRET].
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import Stripe from 'stripe'
import { type Form, failed, openAccount, type Reply, shown, type Thing } from './stripe-account.ts'

/** What goes wrong with the next request that it matches; used up by it. */
export type Fault = {
  /** `POST /v1/payment_intents`, a part of it, or nothing: any. */
  on?: string
  /**
   * - `refuse`: answers `status` without having begun; nothing is kept under the key.
   * - `break`: has begun and fails with `status`, which is kept under the key.
   * - `vanish`: is never seen, and never answered.
   * - `lose`: is done, and never answered. `cut`: is done, and the connection closes.
   * - `hold`: begins, and waits until `release`, its key being in use.
   * - `delay`: is done, and answered after `ms`.
   */
  does: 'refuse' | 'break' | 'vanish' | 'lose' | 'cut' | 'hold' | 'delay'
  status?: number
  error?: Thing
  headers?: Record<string, string>
  ms?: number
  /** How many requests; one unless said. */
  times?: number
}
export type StandInOptions = { port?: number; file?: string; secretKey?: string }
export type Posting = { url: string; secret: string; signedAt?: number }

/** A reply, a connection that stays silent, or one that closes. */
type Sent = (Reply & { headers?: Record<string, string> }) | 'nothing' | 'the end'

export const standInKey = 'sk_test_standin'

export async function startStripeStandIn({ port = 0, file, secretKey = standInKey }: StandInOptions = {}) {
  const account = openAccount(file)
  const faults: Fault[] = []
  const running = new Set<string>()
  const requests: { target: string; key: string | undefined; form: Form }[] = []
  const held: (() => void)[] = []

  const faultFor = (target: string): Fault | undefined => {
    const at = faults.findIndex(({ on = '' }) => target.includes(on))
    const fault = faults[at]
    if (!fault) return undefined
    fault.times = (fault.times ?? 1) - 1
    if (fault.times === 0) faults.splice(at, 1)
    return fault
  }

  async function answer(request: IncomingMessage): Promise<Sent> {
    const url = new URL(request.url!, 'http://stand-in')
    const target = `${request.method} ${url.pathname}`
    const body = await text(request)
    const form = readForm(request.method === 'GET' ? url.searchParams : new URLSearchParams(body))
    const key = request.headers['idempotency-key'] as string | undefined
    requests.push({ target, key, form })
    const fault = faultFor(target)
    if (fault?.does === 'vanish') return 'nothing'
    if (request.headers.authorization !== `Bearer ${secretKey}`)
      return failed(401, { type: 'invalid_request_error', message: 'Invalid API Key provided' })
    if (fault?.does === 'refuse') {
      const { status = 500, error = { type: 'api_error', message: 'Told to refuse.' }, headers = {} } = fault
      return { ...failed(status, error), headers }
    }
    if (request.method === 'GET') {
      const reply = account.get(url.pathname, form)
      if (fault?.does === 'hold') await new Promise<void>((resolve) => held.push(resolve))
      return fault?.does === 'lose' ? 'nothing' : { ...reply, body: shown(reply.body, form) }
    }
    const reply = await keyed({ target, path: url.pathname, body, form, key }, fault)
    if (fault?.does === 'delay') await pause(fault.ms ?? 0)
    if (fault?.does === 'cut') return 'the end'
    return fault?.does === 'lose' ? 'nothing' : { ...reply, body: shown(reply.body, form) }
  }

  type Posted = { target: string; path: string; body: string; form: Form; key: string | undefined }

  async function keyed({ target, path, body, form, key }: Posted, fault: Fault | undefined): Promise<Reply> {
    const request = `${target} ${body}`
    const kept = key === undefined ? undefined : account.kept(key)
    if (kept && kept.request !== request)
      return failed(400, {
        type: 'idempotency_error',
        message: 'Keys for idempotent requests can only be used with the same parameters they were first used with.',
      })
    if (kept) return structuredClone(kept.reply)
    if (key !== undefined && running.has(key))
      return failed(409, { type: 'idempotency_error', code: 'idempotency_key_in_use', message: 'In use.' })
    const invalid = invalidParameter(path, form)
    if (invalid) return invalid // found before anything began, so it is not kept
    if (key !== undefined) running.add(key)
    try {
      if (fault?.does === 'hold') await new Promise<void>((resolve) => held.push(resolve))
      const broken = failed(fault?.status ?? 500, fault?.error ?? { type: 'api_error', message: 'Told to break.' })
      const work = (): Reply => (fault?.does === 'break' ? broken : account.post(path, form))
      return account.run(work, key === undefined ? null : { key, request })
    } finally {
      if (key !== undefined) running.delete(key)
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = await answer(request)
    if (reply === 'the end') return void response.destroy()
    if (reply === 'nothing') return
    response.writeHead(reply.status, {
      'content-type': 'application/json',
      'request-id': `req_${requests.length}`,
      ...reply.headers,
    })
    response.end(JSON.stringify(reply.body))
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error) => response.destroy(error))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))

  /** Signs the event as Stripe does and posts it. `signedAt` in milliseconds: now unless said. */
  async function post(event: Thing, { url, secret, signedAt = Date.now() }: Posting): Promise<Response> {
    const payload = JSON.stringify(event)
    const signature = Stripe.webhooks.generateTestHeaderString({
      payload,
      secret,
      timestamp: Math.floor(signedAt / 1000),
    })
    const headers = { 'content-type': 'application/json', 'stripe-signature': signature }
    return fetch(url, { method: 'POST', body: payload, headers })
  }

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Every request that has arrived. */
    requests,
    events: account.events,
    intents: account.intents,
    refunds: account.refunds,
    authenticate: account.authenticate,
    endRefund: account.endRefund,
    refundByHand: account.refundByHand,
    dispute: account.dispute,
    endDispute: account.endDispute,
    fail: (fault: Fault) => void faults.push(fault),
    heal: () => void faults.splice(0),
    held: () => held.length,
    release: () => {
      for (const go of held.splice(0)) go()
    },
    post,
    async stop() {
      for (const go of held.splice(0)) go()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
export type StripeStandIn = Awaited<ReturnType<typeof startStripeStandIn>>

function readForm(entries: URLSearchParams): Form {
  const form: Form = {}
  for (const [name, value] of entries) {
    const path = name.split('[').map((part) => part.replace(/\]$/, ''))
    let at = form
    for (const part of path.slice(0, -1)) {
      at[part] ??= {}
      at = at[part] as Form
    }
    at[path.at(-1)!] = value
  }
  return form
}

function invalidParameter(path: string, form: Form): Reply | undefined {
  if (path === '/v1/payment_intents' && !/^[1-9]\d{0,7}$/.test(String(form.amount)))
    return failed(400, { type: 'invalid_request_error', code: 'parameter_invalid_integer', param: 'amount' })
  if (path === '/v1/payment_intents' && !/^[a-z]{3}$/.test(String(form.currency)))
    return failed(400, { type: 'invalid_request_error', code: 'parameter_missing', param: 'currency' })
  return undefined
}

/** Posts every event, the newest first and twice, until it is taken. */
async function postForever(standIn: StripeStandIn, posting: Posting): Promise<never> {
  for (let sent = 0; ; await pause(50)) {
    const fresh = standIn.events.slice(sent)
    sent += fresh.length
    const again = [...fresh.toReversed(), ...fresh]
    for (const event of again) {
      const isTaken = async () => (await standIn.post(event, posting).catch(() => undefined))?.ok ?? false
      while (!(await isTaken())) await pause(200)
    }
  }
}

if (import.meta.main) {
  const [port = '0', file, url, secret] = process.argv.slice(2)
  const standIn = await startStripeStandIn({ port: Number(port), ...(file ? { file } : {}) })
  process.stdout.write(`${standIn.url}\n`)
  if (url && secret) await postForever(standIn, { url, secret })
}
