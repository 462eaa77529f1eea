// What a server does when it stops, when it has too much to do, and when its database is gone: nothing hangs, what was taken is
// answered, and what is refused is refused at once.
import { Agent, request } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Client, createClient } from '../../sdk/src/client.ts'
import { openSql } from '../../src/runtime/database-url.ts'
import { type Embedded, startEmbedded } from '../../src/runtime/embedded.ts'
import { readPostmaster } from '../../src/runtime/embedded-postmaster.ts'
import { asker, lineOf, paidOrder, stocked } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { cellProcess, makeDataFolder, type Running, startHoldfast } from '../support/holdfast.ts'

let data: string
let remove: () => Promise<void>
let postgres: Embedded
let server: Running
let sql: ReturnType<typeof openSql>
let ask: ReturnType<typeof asker>
let sk: Client

beforeAll(async () => {
  ;({ data, remove } = await makeDataFolder())
  postgres = await startEmbedded({ folder: `${data}/postgres` })
  sql = openSql(postgres.url, { max: 2 })
})

beforeEach(async () => {
  server = await startHoldfast([`--data=${data}`, `--database-url=${postgres.url}`, '--log-level=fatal'])
  ask = asker(server.url)
  sk = createClient({ url: server.url, key: 'sk_dev' })
})

afterEach(async () => {
  if (server.child.exitCode === null) server.interrupt()
  await server.ended
})

afterAll(async () => {
  await sql.end()
  await postgres.stop()
  await remove()
})

/** Keeps every command on stock waiting until it is let go, as a slow disk would. */
async function holdStock(): Promise<() => Promise<void>> {
  const session = await sql.reserve()
  await session`begin`
  await session`lock table stock.rows in exclusive mode`
  return async () => {
    await session`rollback`
    session.release()
  }
}

const lanesWaiting = async (): Promise<number> =>
  (await sql`select from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'holdfast%'`).length

const rowsQueued = async (): Promise<number> =>
  Number(/^holdfast_queue_rows\{[^}]*\} (\d+)/m.exec((await ask('GET /metrics')).text)?.[1])

test.each(['the parent', 'the cell'])(
  'SIGTERM to %s: what is in flight is answered, nothing is taken after',
  async (whom) => {
    const sku = await stocked(sk, 100)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await getThrough(agent)
    const cell = cellProcess(data)!

    const letGo = await holdStock()
    const order = () => ask('POST /v1/orders', { body: paidOrder(lineOf(sku)) })
    const inFlight = []
    for (const lanes of [1, 2]) {
      inFlight.push(order())
      await eventually(async () => (await lanesWaiting()) === lanes)
    }
    for (let n = 0; n < 8; n++) inFlight.push(order())
    await eventually(async () => (await rowsQueued()) === 8 * 3)
    process.kill(whom === 'the parent' ? server.child.pid! : cell, 'SIGTERM')
    // A new connection is refused; one that was open is told that the server drains.
    await eventually(async () => (await ask('GET /v1/orders').catch(() => 'refused')) === 'refused')
    const late = await getThrough(agent).catch(() => undefined)
    if (late) expect(late).toMatchObject({ status: 503, connection: 'close' })
    await letGo()

    const replies = await Promise.all(inFlight)
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 201))
    agent.destroy()
    if (whom === 'the parent') {
      expect(await server.ended).toMatchObject({ code: 0 })
    } else {
      await eventually(() => ![cell, undefined].includes(cellProcess(data)), 10_000)
      await eventually(async () => (await ask('GET /readyz').catch(() => undefined))?.status === 200, 10_000)
    }
    expect(await sql`select sum(committed)::int as units from stock.rows where sku = ${sku}`).toEqual([{ units: 10 }])
  },
)

/** A request over the agent's one connection. */
function getThrough(agent: Agent): Promise<{ status: number; connection: string | undefined }> {
  return new Promise((resolve, reject) => {
    const call = request(
      `${server.url}/v1/orders`,
      { agent, headers: { authorization: 'Bearer sk_dev' } },
      (response) => {
        response.resume()
        response.on('end', () => resolve({ status: response.statusCode!, connection: response.headers.connection }))
      },
    )
    call.on('error', reject)
    call.end()
  })
}

test('full lanes refuse early with 503 and Retry-After, probes are answered, and all that was taken is', async () => {
  const sku = await stocked(sk, 1_000_000)
  const large = paidOrder(...Array.from({ length: 1_500 }, () => lineOf(sku, 1, 1)))
  const letGo = await holdStock()
  const taken = Array.from({ length: 16 }, () => ask('POST /v1/orders', { body: large }))
  const overloaded = { status: 503, body: { code: 'overloaded' } }
  await Promise.any(taken.map(async (one) => expect(await one).toMatchObject(overloaded)))
  let refused = await ask('GET /readyz')
  await eventually(async () => {
    refused = await ask('GET /v1/orders?limit=1')
    return refused.status === 503
  })
  expect(refused).toMatchObject({ status: 503, body: { status: 503, code: 'overloaded' } })
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(await ask('GET /healthz')).toMatchObject({ status: 200 })
  expect(await ask('GET /readyz')).toMatchObject({ status: 200 })
  expect(await rowsQueued()).toBeGreaterThan(1_500)
  await letGo()

  const replies = await Promise.all(taken)
  const accepted = replies.filter(({ status }) => status === 201).length
  expect(replies.every(({ status }) => status === 201 || status === 503)).toBe(true)
  expect(accepted).toBeGreaterThanOrEqual(2) // one in a lane, and what queued before the queue was full
  await eventually(async () => (await ask('GET /v1/orders?limit=1')).status === 200)
  expect(await sk.stock.get(sku)).toMatchObject({ committed: accepted * 1_500 }) // a refusal did nothing
})

test('without its database it lives and is not ready; when the database is back it goes on by itself', async () => {
  const sku = await stocked(sk, 10)
  expect(await ask('GET /readyz')).toMatchObject({ status: 200, body: { status: 'ready', reasons: [] } })
  process.kill((await readPostmaster(`${data}/postgres/pg`))!.pid, 'SIGKILL')
  await eventually(async () => (await ask('GET /readyz')).status === 503)
  expect((await ask('GET /readyz')).body).toEqual({ status: 'unready', reasons: ['database_unreachable'] })
  expect(await ask('GET /healthz')).toMatchObject({ status: 200 })
  const read = await ask('GET /v1/orders')
  expect(read).toMatchObject({ status: 503, body: { code: 'unavailable', may_have_happened: false } })
  expect(read.headers.get('retry-after')).not.toBeNull()
  const placing = sk.orders.place(paidOrder(lineOf(sku))) // patient: the SDK tries again

  await postgres.restart()
  expect(await placing).toMatchObject({ status: 'confirmed' })
  await eventually(async () => (await ask('GET /readyz')).status === 200)
  expect(await sk.stock.get(sku)).toMatchObject({ committed: 1 })
  expect(await sk.audit({ fresh: true })).toMatchObject({ consistent: true })
})
