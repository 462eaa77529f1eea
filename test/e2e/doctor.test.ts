// What the doctor says of real cells and their real databases: nothing while all is well, and each of several things that are made
// wrong on purpose by its name, with what to do.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient } from '../../sdk/src/client.ts'
import { openSql } from '../../src/runtime/database-url.ts'
import { eventually } from '../support/eventually.ts'
import {
  cellProcess,
  embeddedUrl,
  makeDataFolder,
  type Running,
  runHoldfast,
  startHoldfast,
} from '../support/holdfast.ts'

let folder: Awaited<ReturnType<typeof makeDataFolder>>
let server: Running
beforeAll(async () => {
  folder = await makeDataFolder()
  server = await startHoldfast(['--data', folder.data, '--cells=eu1,us1', '--log-level=fatal'])
}, 120_000)
afterAll(async () => {
  server?.interrupt()
  await server?.ended
  await folder?.remove()
})

type Found = { where: string; check: string; wrong: string; do: string }

async function doctor(...args: string[]) {
  const ended = await runHoldfast(['doctor', ...args, '--json'])
  const json = JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!)
  return { ...ended, json, findings: (json.findings ?? []) as Found[] }
}
const ofCells = () => doctor('--url', server.url, '--key', 'sk_dev')
const ofDatabase = (...more: string[]) => doctor('--data', folder.data, '--cells=eu1', ...more)

test.each([
  [['--url', 'nowhere', '--key', 'sk_dev'], /--url must be the address/],
  [['--url', 'http://127.0.0.1:1'], /--key is missing/],
  [['--url', 'http://127.0.0.1:1', '--key', 'sk_dev'], /No answer from the server/],
  [['--data', '/nowhere'], /There is no cell in/],
  [['--transaction-seconds', 'long'], /must be a number of seconds/],
  [['--verbose'], /Unknown option/],
  [['now'], /Unexpected argument/],
])('what is wrong with the command is said in one line, with exit code 1: %s', async (args, line) => {
  const ended = await doctor(...args)
  expect(ended.code).toBe(1)
  expect(ended.json.error.message).toMatch(line)
  expect(ended.stderr).not.toMatch(/^ +at /m)
})

describe('of cells that are well', () => {
  test('it says that nothing is wrong, with exit code 0', async () => {
    await eventually(async () => (await ofCells()).code === 0, 30_000)
    const { stdout, json } = await ofCells()
    expect(stdout).toContain('Nothing is wrong.')
    expect(json).toEqual({ well: true, findings: [] })
  })

  test('and so of a database', async () => {
    const { code, findings } = await ofDatabase()
    expect(findings).toEqual([])
    expect(code).toBe(0)
  })
})

describe('it finds', () => {
  test('a consumer that is paused, and says how it goes on', async () => {
    const client = createClient({ url: server.url, key: 'sk_dev' })
    await client.consumers.pause('ledger')
    const { code, findings, stdout } = await ofCells()
    expect(code).toBe(1)
    expect(findings).toEqual([expect.objectContaining({ where: 'eu1', check: 'consumer_paused' })])
    expect(stdout).toContain('holdfast consumer resume ledger')
    await client.consumers.resume('ledger')
    expect((await ofCells()).findings).toEqual([])
  })

  test('a slot that nobody reads and that holds the log back', async () => {
    const sql = openSql(await embeddedUrl(folder.data), { max: 1 })
    try {
      await sql`select pg_create_physical_replication_slot('of_a_standby_that_is_gone', true)`
      const { code, findings } = await ofDatabase()
      expect(code).toBe(1)
      expect(findings).toEqual([expect.objectContaining({ where: 'database', check: 'slot_holds_wal' })])
      expect(findings[0]!.do).toContain(`pg_drop_replication_slot('of_a_standby_that_is_gone')`)
      await sql`select pg_drop_replication_slot('of_a_standby_that_is_gone')`
    } finally {
      await sql.end()
    }
    expect((await ofDatabase()).findings).toEqual([])
  })

  test('a transaction that somebody has left open, and by which process', async () => {
    const sql = openSql(await embeddedUrl(folder.data), {
      max: 1,
      connection: { application_name: 'a forgotten psql' },
    })
    try {
      await sql.begin('read only', async (left) => {
        const [row] = await left<{ pid: number }[]>`select pg_backend_pid() as pid`
        const found = async () => (await ofDatabase('--transaction-seconds=2')).findings
        await eventually(async () => (await found()).some(({ check }) => check === 'long_transaction'), 30_000)
        const [one] = (await found()).filter(({ wrong }) => wrong.includes('a forgotten psql'))
        expect(one!.do).toContain(`pg_terminate_backend(${row!.pid})`)
      })
    } finally {
      await sql.end()
    }
  })

  test('one who waits for another’s lock', async () => {
    const sql = openSql(await embeddedUrl(folder.data), { max: 2 })
    try {
      await sql.begin(async (holder) => {
        await holder`select pg_advisory_xact_lock(4711)`
        const waiting = sql.begin((waiter) => waiter`select pg_advisory_xact_lock(4711)`)
        await eventually(
          async () => (await ofDatabase()).findings.some(({ check }) => check === 'lock_waited_for'),
          30_000,
        )
        void waiting.catch(() => {})
      })
    } finally {
      await sql.end()
    }
  })

  test('a setting under which orders may be lost', async () => {
    const sql = openSql(await embeddedUrl(folder.data), { max: 1 })
    try {
      await sql.unsafe('alter system set full_page_writes = off')
      await sql`select pg_reload_conf()`
      await eventually(
        async () => (await ofDatabase()).findings.some(({ check }) => check === 'full_page_writes'),
        15_000,
      )
      await sql.unsafe('alter system reset full_page_writes')
      await sql`select pg_reload_conf()`
    } finally {
      await sql.end()
    }
  })

  test('a cell that does not answer, and those that do not reach it', async () => {
    process.kill(cellProcess(folder.data, 'us1')!, 'SIGSTOP')
    try {
      await eventually(async () => {
        const { findings } = await ofCells()
        const checks = findings.map(({ where, check }) => `${where} ${check}`)
        return checks.includes('us1 cell_down') && checks.includes('eu1 peer_unreachable')
      }, 60_000)
    } finally {
      process.kill(cellProcess(folder.data, 'us1')!, 'SIGCONT')
    }
  })
})
