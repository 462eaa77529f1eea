// What keeps `holdfast start` from starting it says in one line, and leaves everything as it was.
import { appendFile, chmod, mkdir, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { withDatabase } from '../../src/runtime/database-url.ts'
import { startEmbedded } from '../../src/runtime/embedded.ts'
import { canEnter } from '../../src/runtime/embedded-account.ts'
import { eventually } from '../support/eventually.ts'
import {
  type Ended,
  everyProcess,
  interrupted,
  lives,
  makeDataFolder,
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

/** Exit code 1 and one line, which names the trouble. */
function expectOneLine(ended: Ended, line: RegExp): void {
  expect(ended.stderr).toMatch(line)
  expect(ended.stderr.trim().split('\n')).toHaveLength(1)
  expect(ended.code).toBe(1)
}

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
