// A process that knows two servers, one of them the other's standby, when the standby is promoted: under load, with a tail that
// was lost, and while the old primary still thinks that it is one.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/runtime/clock.ts'
import { type DatabaseUrl, openSql } from '../../src/runtime/database-url.ts'
import { type Gate, gatedDatabase, startGate } from '../../src/runtime/gate.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { eventually } from '../support/eventually.ts'
import { type Replicated, startReplicated } from '../support/replicated.ts'

let servers: Replicated
let database: Database
let gate: Gate
let gated: Database

beforeEach(async () => {
  servers = await startReplicated({ delayMs: 5 })
  database = openDatabase({ url: bothUrls(), applicationName: 'test', synchronousCommit: 'local' })
  await database.transaction((session) => session.script('create table item (id int primary key)'))
  gate = startGate({ database, clock: systemClock, onError: () => {} })
  gated = gatedDatabase(database, gate)
  await eventually(() => !gate.isShut)
}, 60_000)

afterEach(async () => {
  await gate.stop()
  await database.close()
  await servers.stop()
}, 60_000)

/** The standby's first: which of them is the primary is found out. */
function bothUrls(): DatabaseUrl {
  const url = new URL(servers.standby.url)
  const folders = [servers.standby.url, servers.primary.url].map((one) => new URL(one).searchParams.get('host'))
  url.searchParams.set('host', folders.join(','))
  return url.href
}

const add = (to: Database, id: number): Promise<unknown> =>
  to.transaction((session) => session.run('insert into item values ($1)', [id]))

async function idsOn(url: DatabaseUrl): Promise<Set<number>> {
  const sql = openSql(url, { max: 1 })
  try {
    return new Set((await sql<{ id: number }[]>`select id from item`).map(({ id }) => id))
  } finally {
    await sql.end()
  }
}

const killPrimary = async (): Promise<void> => {
  process.kill(servers.primary.pid(), 'SIGKILL')
}

test('nothing that was acknowledged is lost with the primary, and the process writes to the promoted one', async () => {
  const acknowledged: number[] = []
  let next = 0
  let isOver = false
  const client = async () => {
    while (!isOver) {
      const id = next++
      await add(gated, id).then(
        () => acknowledged.push(id),
        () => new Promise(setImmediate),
      )
    }
  }
  const clients = Array.from({ length: 8 }, client)
  await eventually(() => acknowledged.length > 200, 20_000)
  await killPrimary()
  await servers.standby.promote()
  await eventually(() => gate.isShut, 10_000) // nobody stands by the new one yet
  isOver = true
  await Promise.all(clients)
  const kept = await idsOn(servers.standby.url)
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
  await eventually(
    () =>
      add(database, 1_000_000).then(
        () => true,
        () => false,
      ),
    10_000,
  )
  expect((await idsOn(servers.standby.url)).has(1_000_000)).toBe(true)
})

test('a tail that the standby never had was acknowledged to nobody, and is gone', async () => {
  await add(gated, 1)
  process.kill(servers.standby.pid(), 'SIGKILL')
  const waiting = add(gated, 2).catch((error: unknown) => error)
  await eventually(async () => (await idsOn(servers.primary.url)).has(2))
  const life = await eventuallyLives(database)
  await killPrimary()
  expect(await waiting).toMatchObject({ name: 'GateShut', mayHaveHappened: true })
  await servers.standby.restart()
  await servers.standby.promote()
  const later = await eventuallyLives(database)
  expect(later).not.toBe(life)
  expect(await idsOn(servers.standby.url)).toEqual(new Set([1]))
  await expect(gate.pass(life)).rejects.toMatchObject({ name: 'GateShut', mayHaveHappened: true })
})

test('an old primary that lives on is left as soon as the gate has shut there, and is not gone back to', async () => {
  await add(database, 1)
  await servers.standby.promote()
  await eventually(() => gate.isShut, 10_000)
  await eventually(async () => {
    const [row] = await database
      .query<{ file: string }>('select pg_walfile_name(pg_current_wal_lsn()) as file')
      .catch(() => [])
    return row?.file.startsWith('00000002') ?? false
  }, 10_000)
  for (let id = 2; id < 12; id++) await add(database, id)
  expect(await idsOn(servers.primary.url)).toEqual(new Set([1]))
  expect((await idsOn(servers.standby.url)).size).toBe(11)
})

/** The server that can be written to, once there is one. */
async function eventuallyLives(of: Database): Promise<string> {
  let life = ''
  await eventually(async () => {
    const session = await of.openSession('life').catch(() => undefined)
    life = session?.life ?? ''
    await session?.close()
    return session !== undefined
  }, 20_000)
  return life
}
