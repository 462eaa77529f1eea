// The door under load: full lanes refuse at once and cheaply, checkouts come back first, probes are always answered.
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import type { CellName, ShopId } from '../../src/base/ids.ts'
import { limits } from '../../src/base/limits.ts'
import { accepted, refused } from '../../src/base/result.ts'
import { instant } from '../../src/base/time.ts'
import { type AppOptions, createApp } from '../../src/gateway/app.ts'
import { countObjectives } from '../../src/gateway/objectives.ts'
import { countTraffic } from '../../src/gateway/traffic.ts'
import { createDeadLetters } from '../../src/modules/deadletters/service.ts'
import { createWaiting } from '../../src/modules/orders/waiting.ts'
import { createKeys, developmentPrincipals } from '../../src/modules/shops/service.ts'
import { Overloaded } from '../../src/runtime/batch.ts'
import { manualClock } from '../../src/runtime/clock.ts'
import { openMetrics } from '../../src/runtime/metrics.ts'
import { contentDigest } from '../../src/runtime/peer-signature.ts'
import { DatabaseUnavailable } from '../../src/runtime/pg-failure.ts'
import { orderBody } from '../support/http-cell.ts'
import { unaskedPulse } from '../support/unasked.ts'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

const nobody = (): never => {
  throw new Error('not asked in these tests')
}
const never = () => Promise.reject(new Error('not asked in these tests'))

// biome-ignore lint/correctness/useYield: the log breaks before there is anything
async function* brokenPages(): AsyncGenerator<never, void> {
  throw new DatabaseUnavailable('ECONNRESET', 'gone')
}

async function openDoor(peers?: AppOptions['peers']) {
  const clock = manualClock(instant(Date.UTC(2026, 0, 1)))
  const metrics = openMetrics()
  const objectives = countObjectives(metrics, instant(0))
  const database = { query: async () => Object.assign([], { count: 0, command: 'SELECT' }), transaction: never }
  const state = { full: false, failure: undefined as Error | undefined, submitted: 0, warnings: [] as string[] }
  const pulse = unaskedPulse(clock.elapsedMs)
  const app = await createApp({
    cell: 'eu1' as CellName,
    commands: {
      submit: async () => {
        state.submitted++
        if (state.failure) throw state.failure
        return refused('sku_not_found')
      },
      isFull: () => state.full,
      isHalfFull: () => state.full,
      whenRoom: async () => {},
      retryAfterSeconds: () => 7,
    },
    providers: new Map(),
    webhooks: { webhooks: { beginAt: never, poke: never }, urlRules: { publicOnly: true, ports: [] } },
    waiting: createWaiting(async () => undefined),
    deadLetters: createDeadLetters(database as never, []),
    lives: () => [],
    consumersChanged: async () => {},
    cells: {
      topology: { current: nobody, change: nobody },
      peers: { isUp: nobody, rttMs: nobody, lastHeardAt: nobody, dataAsOf: nobody },
      whyNotEmptied: nobody,
      rules: {},
    },
    database: database as never,
    keys: createKeys(
      { query: async () => [] as never }, // the shop has set nothing
      clock.now,
      developmentPrincipals(async () => ({ id: 1 as ShopId, secret: Buffer.alloc(32) })),
    ),
    log: {
      error: () => {},
      warn: (_: object, message: string) => void state.warnings.push(message),
      isLevelEnabled: () => false,
    } as never,
    traffic: countTraffic({ metrics, elapsedMs: clock.elapsedMs, meter: pulse.meter, objectives }),
    clock,
    profile: 'development',
    pulse,
    chaos: null,
    developmentKey: null,
    webFolder: '',
    requestPrefix: 'test',
    peers,
    unreadyReasons: () => [],
    metrics,
    objectives,
    audit: never,
    events: { page: never, follow: async () => accepted(brokenPages()), position: String },
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  stops.push(() => app.close())
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  const headers = { authorization: 'Bearer sk_dev', 'content-type': 'application/json', 'idempotency-key': 'k' }
  return {
    app,
    url,
    state,
    clock,
    metrics,
    place: () => fetch(`${url}/v1/orders`, { method: 'POST', headers, body: JSON.stringify(orderBody('A-1')) }),
    get: (path: string, more = {}) => fetch(url + path, { headers: { authorization: 'Bearer sk_dev', ...more } }),
  }
}

it('full lanes answer 503 with Retry-After before the body is read', async () => {
  const { state, place, metrics } = await openDoor()
  state.full = true
  const answer = await place()
  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).toBe('7')
  expect(answer.headers.get('holdfast-cell')).toBe('eu1')
  expect(answer.headers.get('x-request-id')).toMatch(/^test-/)
  expect(await answer.json()).toMatchObject({ code: 'overloaded', status: 503 })
  expect(state.submitted).toBe(0)
  expect(await metrics.text()).toContain('holdfast_http_refused_total{code="overloaded"} 1')
})

it('peers are heard while the lanes are full, and no more once the server drains', async () => {
  const senderOf = () => accepted({ from: 'us1' as CellName, digest: contentDigest(Buffer.from('1')) })
  const { state, app, url } = await openDoor({
    verifier: { senderOf },
    handlers: new Map([['echo', async (_, body) => body]]),
    life: { present: () => 'a life', hears: () => true },
  })
  const headers = { 'content-type': 'application/json' }
  const ask = () => fetch(`${url}/peer/v1/echo`, { method: 'POST', body: '1', headers })
  state.full = true
  expect(await (await ask()).text()).toBe('1')
  app.beginDrain()
  expect(await (await ask()).json()).toMatchObject({ code: 'draining' })
})

it('checkouts come back at once, browsing a moment later', async () => {
  const { state, clock, place, get } = await openDoor()
  state.full = true
  expect((await place()).status).toBe(503)
  state.full = false
  expect((await place()).status).toBe(422) // it reached the engine
  expect((await get('/v1/stock/A-1')).status).toBe(503)
  clock.pass(limits.browsingPauseMs)
  expect((await get('/v1/stock/A-1')).status).toBe(404)
})

it('probes and scrapers are answered even so', async () => {
  const { state, get } = await openDoor()
  state.full = true
  for (const path of ['/healthz', '/readyz', '/metrics']) expect((await get(path)).status).toBe(200)
})

it.each([
  ['a queue that filled meanwhile', new Overloaded('full'), 'overloaded', '7', false],
  ['a database out of reach', new DatabaseUnavailable('ECONNREFUSED', 'gone'), 'unavailable', '1', false],
  ['a commit without an answer', new DatabaseUnavailable('ECONNRESET', 'gone', true), 'outcome_unknown', '1', true],
  ['too many who wait for the database', new DatabaseUnavailable('reads_full', 'full'), 'overloaded', '7', false],
])('%s is 503 with what is known of it', async (_, failure, code, retryAfter, mayHaveHappened) => {
  const { state, place } = await openDoor()
  state.failure = failure
  const answer = await place()
  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).toBe(retryAfter)
  const problem = (await answer.json()) as Record<string, unknown>
  expect(problem.code).toBe(code)
  expect(problem.may_have_happened).toBe(mayHaveHappened)
})

it('a fault of ours is 500 and says nothing of why', async () => {
  const { state, place } = await openDoor()
  state.failure = new Error('secret detail')
  const answer = await place()
  expect(answer.status).toBe(500)
  expect(await answer.text()).not.toContain('secret')
})

it('a stream whose database is gone ends, so that its reader resumes elsewhere or later', async () => {
  const { state, get } = await openDoor()
  const answer = await get('/v1/events', { accept: 'text/event-stream' })
  expect(answer.status).toBe(200)
  expect(await answer.text()).toBe(': live\n\n')
  expect(state.warnings).toEqual(['unavailable'])
})
