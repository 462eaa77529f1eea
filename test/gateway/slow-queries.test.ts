// What a cell tells of its PostgreSQL: statements that run for long, and those that took most time, without what they were asked with.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'

let cell: HttpCell
beforeAll(async () => {
  cell = await openHttpCell()
  await receive(cell, 'A-1', 100)
})
afterAll(() => cell.stop())

type Running = { process_id: number; name: string; seconds: number; waits_for: string | null; query: string }
const read = async () => (await cell.call('GET', '/v1/slow-queries')).json
const sleeping = async (): Promise<Running | undefined> =>
  (await read()).running.find(({ query }: Running) => query.includes('pg_sleep($1'))

test('who may not see cells may not see them', async () => {
  expect((await cell.call('GET', '/v1/slow-queries', { as: null })).status).toBe(401)
  expect((await cell.call('GET', '/v1/slow-queries', { as: 'pk_dev' })).status).toBe(403)
})

test('a statement is told while it runs for long, by its session, and not with its values', async () => {
  const session = await cell.database.openSession('a slow one')
  const slept = session.run('select\n  pg_sleep($1::float8), $2::text', [60, 'buyer@example.com']).catch(() => {})
  await eventually(async () => (await sleeping()) !== undefined)
  const { process_id, name, seconds, waits_for, query } = (await sleeping())!
  expect({ name, waits_for, query }).toEqual({
    name: expect.stringContaining('a slow one'),
    waits_for: 'Timeout',
    query: 'select pg_sleep($1::float8), $2::text',
  })
  expect(seconds).toBeGreaterThanOrEqual(0.1)
  await cell.database.query('select pg_cancel_backend($1)', [process_id])
  await slept
  expect(await sleeping()).toBeUndefined()
  await session.close()
})

describe('what took most time', () => {
  test('is not known where PostgreSQL does not count it', async () => {
    expect((await read()).costliest).toBeNull()
  })

  test('is counted by statement, the most first, without values, where it does', async () => {
    await cell.database.transaction(async (session) => {
      await session.run('create schema counts')
      await session.run('create extension pg_stat_statements schema counts')
    })
    const customer = { email: 'buyer@example.com' }
    expect((await cell.call('POST', '/v1/orders', { body: orderBody('A-1', 1, { customer }) })).status).toBe(201)
    await cell.database.query("select 'a buyer by name', pg_sleep(0.5)")
    const { costliest } = await read()
    expect(Date.parse(costliest.since)).toBeLessThanOrEqual(Date.now())
    const totals = costliest.queries.map((one: { total_seconds: number }) => one.total_seconds)
    expect(totals).toEqual([...totals].sort((one, other) => other - one))
    const slept = costliest.queries.find((one: { query: string }) => one.query === 'select $1, pg_sleep($2)')
    expect(slept).toMatchObject({ calls: 1, rows: 1 })
    expect(slept.max_ms).toBeGreaterThanOrEqual(500)
    expect(JSON.stringify(costliest)).not.toMatch(/buyer@example|a buyer by name/)
  })
})
