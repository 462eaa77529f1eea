// Of a `holdfast start` whose processes are killed, what dies comes back, and nothing is left behind.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSql } from '../../src/runtime/database-url.ts'
import { isAlive } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import {
  cellProcess,
  embeddedUrl,
  everyProcess,
  interrupted,
  lives,
  makeDataFolder,
  postmasterPid,
  startHoldfast,
} from '../support/holdfast.ts'
import { signalAll } from '../support/signal-all.ts'

let data: string
let remove: () => Promise<void>

beforeEach(async () => {
  ;({ data, remove } = await makeDataFolder())
})

afterEach(() => remove())

describe('after a kill -9', () => {
  test('of the cell’s process it answers again, on the same port and the same PostgreSQL', async () => {
    const server = await startHoldfast([`--data=${data}`])
    const postmaster = await postmasterPid(data)
    const killed = cellProcess(data)!
    process.kill(killed, 'SIGKILL')
    await eventually(async () => cellProcess(data) !== killed && (await lives(server.url)), 20_000)
    expect(await postmasterPid(data)).toBe(postmaster)
    expect((await interrupted(server)).code).toBe(0)
    expect(everyProcess(data)).toEqual([])
  })

  test('of PostgreSQL under load it runs again, behind the same socket', async () => {
    const server = await startHoldfast([`--data=${data}`])
    const url = await embeddedUrl(data)
    const sql = openSql(url, { max: 4 })
    await sql`create table written (id int)`
    void Promise.allSettled([
      // not waited for: after a lost connection the driver may leave them without an answer
      sql`select pg_sleep(60)`,
      sql`insert into written select generate_series(1, 50000000)`,
    ])
    const running = () =>
      sql<{ n: number }[]>`
        select count(*)::int as n from pg_stat_activity
        where state = 'active' and query ~ '^(select pg_sleep|insert into written)'`
    await eventually(async () => (await running())[0]!.n === 2)
    const cell = cellProcess(data)
    process.kill((await postmasterPid(data))!, 'SIGKILL')
    const answers = () => sql<{ n: number }[]>`select count(*)::int as n from written`.catch(() => undefined)
    await eventually(async () => (await answers())?.[0]?.n === 0, 20_000)
    await sql.end({ timeout: 0 })
    expect(await embeddedUrl(data)).toBe(url)
    expect(cellProcess(data)).toBe(cell)
    expect(await lives(server.url)).toBe(true)
    expect((await interrupted(server)).code).toBe(0)
    expect(everyProcess(data)).toEqual([])
  })

  test('of the parent everything else stops by itself', async () => {
    const server = await startHoldfast([`--data=${data}`])
    server.child.kill('SIGKILL')
    await eventually(() => everyProcess(data).length === 0, 15_000)
    expect(await lives(server.url)).toBe(false)
  })

  test('of parent and cell at once the next start takes over the PostgreSQL that they left', async () => {
    const server = await startHoldfast([`--data=${data}`])
    const orphan = await postmasterPid(data)
    process.kill(-server.child.pid!, 'SIGKILL')
    await server.ended
    expect(isAlive(orphan!)).toBe(true)
    const next = await startHoldfast([`--data=${data}`])
    expect(await postmasterPid(data)).toBe(orphan)
    expect(next.output()).toContain('taken over')
    expect((await interrupted(next)).code).toBe(0)
    expect(everyProcess(data)).toEqual([])
  })

  test('of everything at once the next start recovers', async () => {
    const server = await startHoldfast([`--data=${data}`])
    signalAll(everyProcess(data))
    await server.ended
    const next = await startHoldfast([`--data=${data}`])
    expect(await lives(next.url)).toBe(true)
    expect((await interrupted(next)).code).toBe(0)
  })
})
