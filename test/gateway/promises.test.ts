// What the topology says of a cell acts on it while it runs: whether its answers wait for a standby, on two real servers, and whether
// it sells while it hears no other cell.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type Answer, orderBody, receive } from '../support/http-cell.ts'
import { type Replicated, startReplicated } from '../support/replicated.ts'
import { openTalkingCells, type TalkingCells } from '../support/talking-cells.ts'

let servers: Replicated
let talking: TalkingCells

beforeAll(async () => {
  servers = await startReplicated()
  talking = await openTalkingCells(['eu1', 'us1'], { eu1: servers.primary.url })
  await receive(eu1(), 'A', 1_000)
}, 90_000)
afterAll(async () => {
  servers.thaw()
  await talking.stop()
  await servers.stop()
})

const eu1 = () => talking.cells.eu1!
const place = (key = `eu1.${crypto.randomUUID()}`): Promise<Answer> =>
  eu1().call('POST', '/v1/orders', { body: orderBody('A'), key })
const reasons = async () => (await eu1().call('GET', '/readyz')).json.reasons ?? []

describe('a cell that is made', () => {
  it('local sells although its standby is gone, and geo waits for it again, without a restart', async () => {
    expect((await place()).status).toBe(201)
    servers.freeze()
    await eventually(async () => (await reasons()).includes('standby_unreachable'), 10_000)
    expect((await place()).json.code).toBe('standby_unreachable')

    const [other] = [await talking.cells.us1!.call('GET', '/v1/cells')]
    const { zones, cells } = other.json.topology
    const elsewhere = await talking.cells.us1!.call('PUT', '/v1/topology', {
      body: { zones, cells: [{ ...cells[0], durability: 'local', standby: null }, cells[1]] },
      headers: { 'if-match': other.headers.get('etag')! },
    })
    expect([elsewhere.status, elsewhere.json.code]).toEqual([409, 'cell_not_here'])

    expect((await talking.setTerms('eu1', { durability: 'local', standby: null })).status).toBe(200)
    await eventually(async () => (await place()).status === 201, 5_000)
    const [standing] = await eu1().database.query<{ durability: string }>('select durability from runtime.standing')
    expect(standing!.durability).toBe('local')

    expect((await talking.setTerms('eu1', { durability: 'geo', standby: { region: 'far' } })).status).toBe(200)
    await eventually(async () => (await place()).json.code === 'standby_unreachable', 10_000)
    servers.thaw()
    await eventually(async () => (await place()).status === 201, 20_000)
    await eventually(async () => {
      const [again] = await eu1().database.query<{ durability: string }>('select durability from runtime.standing')
      return again!.durability === 'geo'
    }, 20_000)
  })
})

describe('a cell that stops when it is isolated', () => {
  const isolated = async () => (await reasons()).includes('isolated')

  it('refuses orders and holds within two seconds of hearing nobody, and goes on when it hears one again', async () => {
    expect((await talking.setTerms('eu1', { on_isolation: 'stop' })).status).toBe(200)
    const key = `eu1.${crypto.randomUUID()}`
    const { json: earlier } = await place(key)
    await talking.leave('us1')
    await eventually(isolated, 5_000)
    const refused = await place()
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.json).toMatchObject({ code: 'cell_isolated', may_have_happened: false })
    const hold = await eu1().call('POST', '/v1/holds', {
      body: { lines: [{ sku: 'A', quantity: 1 }], ttl_seconds: 60 },
    })
    expect(hold.json.code).toBe('cell_isolated')
    // What was sold goes on, and is told to whoever sends it again.
    const again = await place(key)
    expect([again.status, again.json.id]).toEqual([201, earlier.id])
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect((await eu1().call('GET', `/v1/orders/${earlier.id}`)).status).toBe(200)
    const cancelled = await eu1().call('POST', `/v1/orders/${earlier.id}/cancel`, { body: { reason: 'buyer' } })
    expect(cancelled.status).toBe(200)

    await talking.comeBack('us1')
    await eventually(async () => (await place()).status === 201, 10_000)
    expect(await isolated()).toBe(false)
  })

  it('and one that sells goes on alone, also when it is told so then', async () => {
    await talking.leave('us1')
    await eventually(isolated, 5_000)
    expect((await talking.setTerms('eu1', { on_isolation: 'sell' })).status).toBe(200)
    expect((await place()).status).toBe(201)
    await talking.comeBack('us1')
  })
})
