// What a process may rely on when it talks to its database, on a real server; the driver's own traps are shown beside the guard.
import type postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSql } from '../../src/runtime/database-url.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { DatabaseUnavailable, failureClass, isUniqueViolation, StatementFailed } from '../../src/runtime/pg-failure.ts'
import { openSession, type Session } from '../../src/runtime/pg-session.ts'
import { bareArray, jsonLines, numberArray, textArray } from '../../src/runtime/pg-values.ts'
import { eventually } from '../support/eventually.ts'
import { createDatabase } from '../support/postgres.ts'

let url: string
let database: Database

beforeAll(async () => {
  url = await createDatabase()
  database = openDatabase({ url, applicationName: 'test' })
  await database.transaction((session) => session.script('create table item (id int primary key, name text)'))
})

afterAll(() => database.close())

const kill = async (session: Session): Promise<void> => {
  const [row] = await session.run<{ pid: number }>('select pg_backend_pid() as pid')
  await killPid(row!.pid)
  await eventually(() => session.lost)
}

async function killPid(pid: number): Promise<void> {
  await database.query('select pg_terminate_backend($1)', [pid])
  await eventually(
    async () => (await database.query('select 1 from pg_stat_activity where pid = $1', [pid])).length === 0,
  )
}

const items = async (): Promise<number[]> =>
  (await database.query<{ id: number }>('select id from item order by id')).map((row) => row.id)

describe('a session', () => {
  test('answers pipelined statements in the order they were sent', async () => {
    const session = await openSession({ url, applicationName: 'test' })
    const answers: number[] = []
    const sent = [1, 2, 3, 4, 5].map((n) =>
      session.run<{ n: number }>('select $1::int as n', [n]).then((rows) => answers.push(rows[0]!.n)),
    )
    await Promise.all(sent)
    expect(answers).toEqual([1, 2, 3, 4, 5])
    await session.close()
  })

  test('rejects everything that waits when its connection dies, and everything sent afterwards', async () => {
    const session = await openSession({ url, applicationName: 'test' })
    const [row] = await session.run<{ pid: number }>('select pg_backend_pid() as pid')
    const waiting = [
      session.run('begin read write'),
      session.run('select pg_sleep(30)'),
      session.run('select $1::int as held_back_by_the_driver', [1]),
      session.run('select $1::int as and_so_is_this', [2]),
      session.run('commit'),
    ]
    await waiting[0]
    await killPid(row!.pid)
    for (const statement of waiting.slice(1)) await expect(statement).rejects.toBeInstanceOf(DatabaseUnavailable)
    await expect(session.run('select 1')).rejects.toBeInstanceOf(DatabaseUnavailable)
    expect(session.lost).toBe(true)
    expect(session.inFlight).toBe(0)
    await session.close()
  })

  test('is given up when the server stops answering', async () => {
    const session = await openSession({ url, applicationName: 'test', replyMsMax: 150 })
    await session.run('select 1')
    const asked = session.run('select pg_sleep(20)')
    await expect(asked).rejects.toMatchObject({ name: 'DatabaseUnavailable', code: 'reply_timeout' })
    expect(session.lost).toBe(true)
    await session.close()
  })

  test('writes nothing outside a transaction', async () => {
    const session = await openSession({ url, applicationName: 'test' })
    await expect(session.run('insert into item values (900)')).rejects.toMatchObject({ code: '25006' })
    await session.close()
  })

  test('does not let a statement with a stale plan commit on its own behind a failed transaction', async () => {
    await database.transaction((session) => session.script('create table plan (a int)'))
    const insert = 'insert into plan (a) values ($1) returning *'
    const session = await openSession({ url, applicationName: 'test' })
    for (let warm = 0; warm < 2; warm++) {
      await session.run('begin read write')
      await session.run(insert, [warm])
      await session.run('rollback')
    }
    await database.transaction((other) => other.script('alter table plan add column b int'))
    const batch = [session.run('begin read write'), session.run(insert, [7]), session.run('commit')]
    const [, inserted, committed] = await Promise.allSettled(batch)
    expect(inserted!.status).toBe('rejected')
    expect(failureClass((inserted as PromiseRejectedResult).reason)).toBe('reconnect')
    expect((committed as PromiseFulfilledResult<{ command: string }>).value.command).toBe('ROLLBACK')
    expect(await database.query('select a from plan')).toHaveLength(0)
    await session.close()
  })

  test('refuses a server that is set to read only', async () => {
    const readOnly = await createDatabase()
    const admin = openSql(readOnly, { max: 1, onnotice: () => {} })
    await admin.unsafe(`alter database "${new URL(readOnly).pathname.slice(1)}" set default_transaction_read_only = on`)
    await admin.end()
    await expect(openSession({ url: readOnly, applicationName: 'test' })).rejects.toMatchObject({ code: 'read_only' })
  })

  test('tells a server that is not there from a broken statement', async () => {
    const nowhere = openSession({ url: 'postgres://nobody@127.0.0.1:1/nothing', applicationName: 'test' })
    await expect(nowhere).rejects.toMatchObject({ name: 'DatabaseUnavailable', code: 'ECONNREFUSED' })
    await expect(database.query('select nonsense')).rejects.toMatchObject({ name: 'StatementFailed', code: '42703' })
  })
})

test('what COMMIT waits for holds in its sessions, and in those of a library that is given its URL', async () => {
  const local = openDatabase({ url, applicationName: 'test', synchronousCommit: 'local' })
  const library = openSql(local.url, { max: 1 })
  const asked = `select current_setting('synchronous_commit') as waits`
  expect(await local.query(asked)).toMatchObject([{ waits: 'local' }])
  expect(await library.unsafe(asked)).toMatchObject([{ waits: 'local' }])
  await library.end()
  await local.close()
})

describe('the driver alone, which is why the guard exists', () => {
  test('lets a held-back statement wait for ever when a reserved connection dies', async () => {
    const driver = openSql(url, { max: 1, fetch_types: false, onnotice: () => {} })
    const [row] = await driver<{ pid: number }[]>`select pg_backend_pid() as pid`
    const reserved = await driver.reserve()
    const settled: string[] = []
    const note = (name: string, query: PromiseLike<unknown>) =>
      query.then(
        () => settled.push(name),
        () => settled.push(name),
      )
    note('sleep', reserved`select pg_sleep(30)`)
    note('described', reserved`select ${1}::int as a`)
    note('held back', reserved`select ${2}::int as b`)
    await eventually(async () => {
      const [found] = await database.query<{ wait_event: string }>(
        'select wait_event from pg_stat_activity where pid = $1',
        [row!.pid],
      )
      return found?.wait_event === 'PgSleep'
    })
    await killPid(row!.pid)
    await eventually(() => settled.includes('described'))
    await new Promise((resolve) => setImmediate(resolve))
    expect(settled).not.toContain('held back')
    await driver.end({ timeout: 0 })
  })

  test('answers COMMIT with the tag ROLLBACK, and no error, after a pipelined statement has failed', async () => {
    const driver = openSql(url, { max: 1, onnotice: () => {} })
    const sent = [driver`begin`, driver`select 1 / 0`, driver`commit`].map((query) => query.execute())
    const [, , committed] = await Promise.allSettled(sent)
    expect((committed as PromiseFulfilledResult<postgres.RowList<never[]>>).value.command).toBe('ROLLBACK')
    await driver.end()
  })
})

describe('a transaction', () => {
  test('is not taken for committed when a statement that nobody awaited had failed', async () => {
    const before = await items()
    const work = async (session: Session): Promise<string> => {
      void session.run('insert into item values (1), (1)')
      return 'looks fine'
    }
    await expect(database.transaction(work)).rejects.toMatchObject({ code: 'ROLLED_BACK' })
    expect(await items()).toEqual(before)
  })

  test('leaves nothing behind when its work throws', async () => {
    const before = await items()
    const work = async (session: Session): Promise<void> => {
      await session.run('insert into item values (2)')
      throw new Error('changed my mind')
    }
    await expect(database.transaction(work)).rejects.toThrow('changed my mind')
    expect(await items()).toEqual(before)
  })

  test('is rerun when its session is lost before commit', async () => {
    let runs = 0
    await database.transaction(async (session) => {
      runs++
      await session.run('insert into item values (10)')
      if (runs === 1) await kill(session)
    })
    expect(runs).toBe(2)
    expect(await items()).toContain(10)
  })

  test('is rerun after a deadlock, and both of the two that met end well', async () => {
    await database.transaction((session) => session.run("insert into item values (20, ''), (21, '')"))
    let firstLocks = 0
    const bothHoldOne = Promise.withResolvers<void>()
    const cross = (first: number, second: number): Promise<void> =>
      database.transaction(async (session) => {
        await session.run("update item set name = name || 'x' where id = $1", [first])
        if (++firstLocks === 2) bothHoldOne.resolve()
        await bothHoldOne.promise
        await session.run("update item set name = name || 'x' where id = $1", [second])
      })
    await Promise.all([cross(20, 21), cross(21, 20)])
    expect(firstLocks).toBeGreaterThan(2)
    const rows = await database.query<{ name: string }>('select name from item where id in (20, 21)')
    expect(rows.map((row) => row.name)).toEqual(['xx', 'xx'])
  })

  test('that was lost during commit says that it may have happened, and is not rerun', async () => {
    await database.transaction((session) =>
      session.script(`
        create table slow_commit (id int);
        create function wait_at_commit() returns trigger language plpgsql as $$ begin perform pg_sleep(30); return null; end $$;
        create constraint trigger wait after insert on slow_commit deferrable initially deferred
          for each row execute function wait_at_commit()`),
    )
    let runs = 0
    let pid = 0
    const lost = database.transaction(async (session) => {
      runs++
      await session.run('insert into slow_commit values (1)')
      pid = (await session.run<{ pid: number }>('select pg_backend_pid() as pid'))[0]!.pid
    })
    lost.catch(() => {})
    await eventually(async () => {
      const asleep = await database.query(`select 1 from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'`, [
        pid,
      ])
      return asleep.length === 1
    })
    await killPid(pid)
    await expect(lost).rejects.toMatchObject({ name: 'DatabaseUnavailable', mayHaveHappened: true })
    expect(runs).toBe(1)
  })

  test('tells which unique constraint refused it', async () => {
    const twice = database.transaction((session) => session.run('insert into item values (30), (30)'))
    const error = await twice.catch((thrown: unknown) => thrown)
    expect(isUniqueViolation(error, 'item_pkey')).toBe(true)
    expect(isUniqueViolation(error, 'another')).toBe(false)
    expect(error).not.toHaveProperty('parameters')
  })

  test('of mode snapshot sees one state throughout', async () => {
    const counts = await database.transaction(async (session) => {
      const count = async (): Promise<number> =>
        (await session.run<{ n: number }>('select count(*) as n from item'))[0]!.n
      const first = await count()
      await database.transaction((other) => other.run('insert into item values (40)'))
      return [first, await count()]
    }, 'snapshot')
    expect(counts[0]).toBe(counts[1])
    expect(await items()).toContain(40)
  })

  test('waits its turn when all sessions are lent, and more of them than sessions all succeed', async () => {
    const inserted = Array.from({ length: 40 }, (_, at) => 1_000 + at)
    await Promise.all(
      inserted.map((id) => database.transaction((session) => session.run('insert into item values ($1)', [id]))),
    )
    expect((await items()).filter((id) => id >= 1_000)).toEqual(inserted)
  })
})

describe('values', () => {
  test('int8 comes back as a number, and one that is not safe is refused instead of rounded', async () => {
    const [row] = await database.query<{ n: number }>('select 9007199254740991::bigint as n')
    expect(row!.n).toBe(Number.MAX_SAFE_INTEGER)
    await expect(database.query('select 9007199254740993::bigint as n')).rejects.toThrow('safe integer')
    expect((await database.query('select 1::bigint as n'))[0]).toEqual({ n: 1 })
  })

  test('arrays go in as literals and keep every character of every item', async () => {
    const texts = ['plain', '', 'a,b', '{x}', 'qu"ote', 'back\\slash', 'NULL', ' spaced ', 'ünï✓', 'line\nfeed', null]
    const rows = await database.query<{ t: string | null }>(
      'select t from unnest($1::text[]) with ordinality as u (t, n) order by n',
      [textArray(texts)],
    )
    expect(rows.map((row) => row.t)).toEqual(texts)
    const numbers = await database.query<{ n: number | null }>('select n from unnest($1::bigint[]) as u (n)', [
      numberArray([1, null, -3]),
    ])
    expect(numbers.map((row) => row.n)).toEqual([1, null, -3])
    expect(await database.query('select n from unnest($1::bigint[]) as u (n)', [bareArray([])])).toHaveLength(0)
  })

  test('json texts travel as lines and come back as what they were', async () => {
    const values = [{ a: 'line\nfeed' }, { a: 'qu"ote \\ \u2028' }, { n: [1, 2] }]
    const rows = await database.query<{ j: unknown }>(
      `select j::json as j from string_to_table($1, E'\\n') with ordinality as l (j, n) order by n`,
      [jsonLines(values.map((value) => JSON.stringify(value)))],
    )
    expect(rows.map((row) => row.j)).toEqual(values)
  })

  test('arrays and instants come out as arrays and instants', async () => {
    const [row] = await database.query(
      `select '{1,2}'::bigint[] as b, '{}'::int[] as i, '2026-11-23T05:00:00.123456Z'::timestamptz as t, '2026-11-23'::date as d,
        '{00000000-0000-0000-0000-000000000001}'::uuid[] as u`,
    )
    const u = ['00000000-0000-0000-0000-000000000001']
    expect(row).toEqual({ b: [1, 2], i: [], t: Date.UTC(2026, 10, 23, 5, 0, 0, 123), d: '2026-11-23', u })
    await expect(database.query(`select '{a}'::text[] as t`)).rejects.toThrow('to_json')
  })
})

describe('the retry table', () => {
  test.each([
    ['40001', 'rerun'],
    ['40P01', 'rerun'],
    ['55P03', 'rerun'],
    ['57P01', 'reconnect'],
    ['57P03', 'reconnect'],
    ['08006', 'reconnect'],
    ['CONNECTION_DESTROYED', 'reconnect'],
    ['ECONNREFUSED', 'reconnect'],
    ['23505', 'fail'],
    ['25P02', 'fail'],
    ['53100', 'rerun'],
    ['0A000', 'fail'],
  ])('%s means %s', (code, expected) => {
    expect(failureClass(Object.assign(new Error('x'), { code }))).toBe(expected)
  })

  test('an error that is not of the database is ours', () => {
    expect(failureClass(new TypeError('x'))).toBe('fail')
    expect(failureClass(undefined)).toBe('fail')
    expect(failureClass(new StatementFailed('rerun', '40001', 'x'))).toBe('rerun')
  })
})
