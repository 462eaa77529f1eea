// The gate between two real servers: who passes, and what becomes of those who wait when the standby or the connection goes.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { openSql } from '../../src/runtime/database-url.ts'
import { type Gate, GateShut, gatedDatabase, startGate } from '../../src/runtime/gate.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { eventually } from '../support/eventually.ts'
import { type Replicated, startReplicated } from '../support/replicated.ts'

let servers: Replicated
let database: Database
let gate: Gate
let gated: Database
const told: boolean[] = []

beforeAll(async () => {
  servers = await startReplicated({ delayMs: 20 })
  database = openDatabase({ url: servers.primary.url, applicationName: 'test', synchronousCommit: 'local' })
  await database.transaction((session) => session.script('create table item (id int primary key)'))
  gate = startGate({ database, clock: systemClock, onError: () => {}, onChange: (isShut) => told.push(isShut) })
  gated = gatedDatabase(database, gate)
  await eventually(() => !gate.isShut)
}, 60_000)

afterAll(async () => {
  await gate.stop()
  await database.close()
  await servers.stop()
})

afterEach(async () => {
  servers.thaw()
  await eventually(() => !gate.isShut, 20_000)
})

let lastId = 0
const add = (to: Database): Promise<number> =>
  to.transaction(async (session) => {
    await session.run('insert into item values ($1)', [++lastId])
    return lastId
  })

/** What it has flushed it replays a moment later. */
const standbyHas = (id: number): Promise<void> =>
  eventually(async () => {
    const sql = openSql(servers.standby.url, { max: 1 })
    try {
      return (await sql`select from item where id = ${id}`).length > 0
    } finally {
      await sql.end()
    }
  })

test('what is answered is on the standby, and a commit alone does not wait for it', async () => {
  const startedAt = performance.now()
  await add(database)
  const committedMs = performance.now() - startedAt
  const id = await add(gated)
  await standbyHas(id)
  expect(performance.now() - startedAt - committedMs).toBeGreaterThanOrEqual(40)
})

test('a crowd shares readings: many pass in the time of one', async () => {
  const ids = await Promise.all(Array.from({ length: 200 }, () => add(gated)))
  for (const id of [ids.at(0)!, ids.at(-1)!]) await standbyHas(id)
})

test('a standby that hangs shuts the gate: who waits is told that nobody knows, who comes that nothing was done', async () => {
  servers.freeze()
  const waiting = await add(gated).catch((error: unknown) => error)
  expect(waiting).toBeInstanceOf(GateShut)
  expect(waiting).toMatchObject({ mayHaveHappened: true })
  expect(gate.isShut).toBe(true)
  const before = lastId
  await expect(add(gated)).rejects.toMatchObject({ name: 'GateShut', mayHaveHappened: false })
  expect(lastId).toBe(before)
  servers.thaw()
  await eventually(() => !gate.isShut)
  expect(told.slice(-2)).toEqual([true, false])
  await standbyHas(await add(gated))
})

test('a standby that dies shuts the gate even while nobody waits, and one that comes back opens it', async () => {
  process.kill(servers.standby.pid(), 'SIGKILL')
  await eventually(() => gate.isShut, limits.gateShutMs + 3_000)
  await servers.standby.restart()
  await eventually(() => !gate.isShut, 20_000)
  await standbyHas(await add(gated))
})

test('a standby that is not counted on any more shuts the gate', async () => {
  const sql = openSql(servers.primary.url, { max: 1 })
  await sql.unsafe('alter system reset synchronous_standby_names')
  await sql`select pg_reload_conf()`
  await eventually(() => gate.isShut)
  await sql.unsafe(`alter system set synchronous_standby_names = '"${servers.standby.name}"'`)
  await sql`select pg_reload_conf()`
  await sql.end()
})

test('waiters do not outlive the connection of the gate: what was read before it is not compared after it', async () => {
  servers.freeze()
  const waiting = add(gated).catch((error: unknown) => error)
  const gates = `select pid from pg_stat_activity where application_name = 'test gate'`
  await eventually(async () => (await database.query('select from item where id = $1', [lastId])).length > 0)
  await database.query(`select pg_terminate_backend(pid) from (${gates}) as gates`)
  expect(await waiting).toMatchObject({ name: 'GateShut', mayHaveHappened: true })
  expect(((await waiting) as Error).message).toContain('connection')
})
