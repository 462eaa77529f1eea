// Migrations bring any number of processes to one schema, once, and refuse what they cannot understand.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type MigrationSource, migrate, pendingMigrations, readMigrations } from '../../src/runtime/migrate.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { runtimeMigrations } from '../../src/runtime/schema.ts'
import { eventually } from '../support/eventually.ts'
import { createDatabase } from '../support/postgres.ts'

let root: string
let url: string
let database: Database

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'migrations-'))
  url = await createDatabase()
  database = openDatabase({ url, applicationName: 'test' })
})

afterEach(async () => {
  await database.close()
  await rm(root, { recursive: true })
})

async function write(module: string, name: string, files: Record<string, string>): Promise<void> {
  const folder = join(root, module, name)
  await mkdir(folder, { recursive: true })
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, `${file}.sql`), text)
}

const sources = (...modules: string[]): MigrationSource[] =>
  modules.map((module) => ({ module, folder: join(root, module) }))
const run = async (...modules: string[]): Promise<string[]> =>
  migrate(database, await readMigrations(sources(...modules)))

describe('migrate', () => {
  test('runs modules in the given order, folders by number, and each only once', async () => {
    await write('b', '0001_first', {
      up: 'create table trace (n serial, what text); insert into trace (what) values (1)',
    })
    await write('b', '0002_second', { up: 'insert into trace (what) values (2)' })
    await write('a', '0001_later', { up: 'insert into trace (what) values (3)' })
    expect(await run('b', 'a')).toEqual(['b/0001_first', 'b/0002_second', 'a/0001_later'])
    expect(await run('b', 'a')).toEqual([])
    const rows = await database.query<{ what: string }>('select what from trace order by n')
    expect(rows.map((row) => row.what)).toEqual(['1', '2', '3'])
  })

  test('applies each migration once when ten processes start at once', async () => {
    await write('a', '0001_slow', {
      up: 'create table once (x int); insert into once values (1); select pg_sleep(0.05)',
    })
    await write('a', '0002_more', { up: 'insert into once values (2)' })
    const migrations = await readMigrations(sources('a'))
    const processes = Array.from({ length: 10 }, (_, n) => openDatabase({ url, applicationName: `starter ${n}` }))
    const applied = await Promise.all(processes.map((one) => migrate(one, migrations)))
    await Promise.all(processes.map((one) => one.close()))
    expect(applied.flat().sort()).toEqual(['a/0001_slow', 'a/0002_more'])
    expect(await database.query('select x from once order by x')).toEqual([{ x: 1 }, { x: 2 }])
  })

  test('leaves the database as it was when a check before finds something, and says what', async () => {
    await write('a', '0001_items', { up: "create table item (sku text); insert into item values ('A-1'), ('A-1')" })
    await write('a', '0002_unique', {
      before: 'select sku, count(*) from item group by sku having count(*) > 1;',
      up: 'create unique index on item (sku)',
    })
    await expect(run('a')).rejects.toThrow(/a\/0002_unique: the check before it found 1: {"sku":"A-1","count":2}/)
    expect(await database.query(`select name from runtime.migrations`)).toEqual([{ name: '0001_items' }])
  })

  test('takes back a migration whose check after finds something', async () => {
    await write('a', '0001_bad', { up: 'create table leftover (x int)', after: "select 'x is missing' as problem" })
    await expect(run('a')).rejects.toThrow(/the check after it found 1/)
    expect((await database.query(`select to_regclass('leftover') as found`))[0]).toEqual({ found: null })
  })

  test('takes back all of a migration that fails half-way, and runs it once it is corrected', async () => {
    await write('a', '0001_half', { up: 'create table half (x int); select 1 / 0' })
    await expect(run('a')).rejects.toThrow(/a\/0001_half: division by zero/)
    await write('a', '0001_half', { up: 'create table half (x int)' })
    expect(await run('a')).toEqual(['a/0001_half'])
  })

  test('refuses an applied migration that was changed', async () => {
    await write('a', '0001_one', { up: 'create table one (x int)' })
    await run('a')
    await write('a', '0001_one', { up: 'create table one (x bigint)' })
    await expect(run('a')).rejects.toThrow(/a\/0001_one: up.sql was changed after it had been applied/)
  })

  test('refuses a database that is newer than the code', async () => {
    await write('a', '0001_one', { up: 'create table one (x int)' })
    await write('a', '0002_two', { up: 'create table two (x int)' })
    await run('a')
    await rm(join(root, 'a', '0002_two'), { recursive: true })
    await expect(run('a')).rejects.toThrow(/a\/0002_two: the database is newer than this code/)
  })

  test('tells what is pending without applying it', async () => {
    await write('a', '0001_one', { up: 'create table one (x int)' })
    const one = await readMigrations(sources('a'))
    expect(await pendingMigrations(database, one)).toEqual(['a/0001_one'])
    await migrate(database, one)
    await write('a', '0002_two', { up: 'create table two (x int)' })
    expect(await pendingMigrations(database, await readMigrations(sources('a')))).toEqual(['a/0002_two'])
  })

  test('waits for traffic in short turns, so that nobody queues behind it', async () => {
    await write('a', '0001_busy', { up: 'create table busy (x int)' })
    await run('a')
    await write('a', '0002_alter', { up: "set local lock_timeout = '50ms'; alter table busy add y int" })
    const release = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const traffic = database.transaction(async (session) => {
      await session.run('insert into busy values (1)')
      held.resolve()
      await release.promise
    })
    await held.promise
    const migrating = run('a')
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    await eventually(async () => (await database.query(waits)).length === 1)
    await eventually(async () => (await database.query(waits)).length === 0) // its first turn has ended
    release.resolve()
    await traffic
    expect(await migrating).toEqual(['a/0002_alter'])
  })

  test.each([
    ['one', { up: 'select 1' }, /a folder named NNNN_name/],
    ['0001_no_up', { before: 'select 1' }, /up.sql is missing/],
    ['0001_more', { up: 'select 1', down: 'select 1' }, /down.sql is none of/],
    ['0002_gap', { up: 'select 1' }, /number 1 was expected/],
  ])('refuses the folder %s', async (name, files: Record<string, string>, message) => {
    await write('a', name, files)
    await expect(run('a')).rejects.toThrow(message)
  })
})

describe('the runtime’s own migrations', () => {
  test('apply to an empty database', async () => {
    await migrate(database, await readMigrations([runtimeMigrations]))
    const [sequence] = await database.query<{ cache_size: number }>(
      `select cache_size from pg_sequences where schemaname = 'runtime' and sequencename = 'event_seq'`,
    )
    expect(sequence!.cache_size).toBe(1)
  })
})
