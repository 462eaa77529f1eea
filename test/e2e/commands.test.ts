// Promises of the commands beside `start`, run as a user does: on a data folder, and on a server that runs.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient } from '../../sdk/src/client.ts'
import { limits } from '../../src/base/limits.ts'
import { openSql } from '../../src/runtime/database-url.ts'
import { eventually } from '../support/eventually.ts'
import {
  embeddedUrl,
  everyProcess,
  makeDataFolder,
  type Running,
  runHoldfast,
  startHoldfast,
} from '../support/holdfast.ts'

let folder: Awaited<ReturnType<typeof makeDataFolder>>
beforeAll(async () => {
  folder = await makeDataFolder()
})
afterAll(() => folder.remove())

/** The last line of standard output, and the exit code. */
async function run(...args: string[]) {
  const ended = await runHoldfast([...args, '--json'])
  const line = ended.stdout.trimEnd().split('\n').at(-1)!
  // biome-ignore lint/suspicious/noExplicitAny: what a command prints has no type here
  return { ...ended, json: JSON.parse(line) as any }
}
const onFolder = () => ['--data', folder.data]

describe('on a data folder that nobody uses', () => {
  test('migrate makes the database once, keys live in it, audit finds it consistent, and nothing is left running', async () => {
    expect((await run('keys', 'list', ...onFolder())).json.error.code).toBe('no_cell')
    const first = await run('migrate', ...onFolder())
    expect(first.code).toBe(0)
    expect(first.json.applied).toHaveLength(first.json.migrations)
    expect((await run('migrate', ...onFolder())).json.applied).toEqual([])

    const made = await run('keys', 'create', '--name', 'shop', '--scopes', 'orders:read,import', ...onFolder())
    expect(made.json.secret).toMatch(/^sk_test_/)
    expect(made.json.key).toMatchObject({ name: 'shop', scopes: ['orders:read', 'import'], revoked_at: null })
    const listed = await run('keys', 'list', ...onFolder())
    expect(listed.json.keys).toEqual([made.json.key])
    expect(listed.stdout + listed.stderr).not.toContain(made.json.secret)
    const revoked = await run('keys', 'revoke', made.json.key.id, ...onFolder())
    expect(revoked.json.key.revoked_at).toMatch(/Z$/)
    expect((await run('keys', 'revoke', '01a206e4-748b-7341-ba29-ced6044b44e9', ...onFolder())).json.error.code).toBe(
      'key_not_found',
    )

    expect((await run('audit', ...onFolder())).json).toMatchObject({ consistent: true, differences: [] })
    expect(everyProcess(folder.data)).toEqual([])
  })

  test.each([
    [['keys'], /Say create, list or revoke/],
    [['keys', 'create'], /--name is missing/],
    [['keys', 'create', '--name', 'x', '--scopes', 'orders:bogus'], /no scope orders:bogus/],
    [['keys', 'revoke', '7'], /Name the id of a key/],
    [['keys', 'list', '--shop', 'other'], /no shop other/],
    [['seed'], /--demo is all there is/],
    [['replay', '--format', 'xlsx'], /must be online-retail/],
    [['replay', '--format', 'online-retail', '--key', 'sk_dev', 'a.csv'], /--url must be/],
    [
      ['replay', '--format', 'online-retail', '--url', 'http://127.0.0.1:1', '--key', 'sk_dev', '/nowhere.csv'],
      /ENOENT/,
    ],
    [['audit', '--url', 'http://127.0.0.1:1'], /--key is missing/],
    [['migrate', '--bogus'], /Unknown option '--bogus'/],
  ])('what is wrong is said in one line, with exit code 1: %s', async (args, line) => {
    const onDatabase = ['keys', 'migrate'].includes(args[0]!) ? onFolder() : []
    const ended = await run(...args, ...onDatabase)
    expect(ended.code).toBe(1)
    expect(ended.stderr.trimEnd().split('\n').at(-1)).toMatch(line)
    expect(ended.stderr).not.toMatch(/^ +at /m)
    expect(ended.json.error.message).toMatch(line)
  })
})

describe('on a running server', () => {
  let server: Running
  beforeAll(async () => {
    server = await startHoldfast(['--data', folder.data])
  })
  afterAll(async () => {
    server.interrupt()
    await server.ended
  })
  const onServer = () => ['--url', server.url, '--key', 'sk_dev']

  test('a key that is made beside it works, until it is revoked', async () => {
    const { json } = await run('keys', 'create', '--name', 'reader', '--scopes', 'stock:read', ...onFolder())
    const client = createClient({ url: server.url, key: json.secret })
    expect((await client.stock.list(['A-1'])).data).toBeInstanceOf(Array)
    await expect(client.locations.put('x', { name: 'x' })).rejects.toMatchObject({ code: 'forbidden' })
    await run('keys', 'revoke', json.key.id, ...onFolder())
    const isRefused = () =>
      client.stock.list(['A-1']).then(
        () => false,
        (error) => error.code === 'unauthorized',
      )
    await eventually(isRefused, limits.keyRememberedMs + 2_000)
  })

  test('seed makes the demo shop, and making it again changes nothing', async () => {
    const first = await run('seed', '--demo', ...onServer())
    expect(first.json).toMatchObject({ orders: 12, created: 12, replayed: 0 })
    const client = createClient({ url: server.url, key: 'sk_dev' })
    const before = await client.orders.list({ limit: 200 })
    const second = await run('seed', '--demo', ...onServer())
    expect(second.json).toMatchObject({ orders: 12, created: 0, replayed: 12 })
    expect(await client.orders.list({ limit: 200 })).toEqual(before)
    expect((await client.stock.get('BRAHMS-4:A9')).available).toBe(0)
    expect((await client.stock.get('BRAHMS-4:A1')).available).toBe(1)
    const lamp = await client.stock.get('LAMP-BRASS')
    expect(lamp).toMatchObject({ on_hand: 6, committed: 1, available: 5 })
  })

  test('replay sells a file once, however often it runs, and tells its own sums beside the server’s', async () => {
    const path = join(folder.data, 'sales.csv')
    const at = '2010-06-01 09:00:00'
    await writeFile(
      path,
      [
        'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country',
        `900365,85123A,HEART,6,${at},2.55,17850,United Kingdom`,
        `900365,85123A,HEART,6,${at},2.55,17850,United Kingdom`,
        `900366,POST,POSTAGE,1,${at},18,12583,France`,
        `900367,21730,"HOLDER, GLASS",3,${at},0.125,,Channel Islands`,
        `C900368,85123A,HEART,-5,2010-06-02 09:00:00,2.55,17850,United Kingdom`,
        `900369,85123A,LOST,-5,${at},0,,United Kingdom`,
        '',
      ].join('\n'),
    )
    const args = ['replay', '--format', 'online-retail', path, ...onServer()]
    const first = await run(...args)
    expect(first.code, first.stderr).toBe(0)
    const sums = {
      invoices: 3,
      orders: 3,
      lines: 4,
      units: 16,
      amount: { amount: 4_898, currency: 'GBP' },
      refused: {},
    }
    expect(first.json).toMatchObject({
      ...sums,
      created: 3,
      replayed: 0,
      file: { rows: 6, lines: 4, units: 16, amount: { amount: 4_898, currency: 'GBP' }, amount_unrounded: '48.975' },
      by_country: {
        'United Kingdom': { orders: 1, lines: 2, units: 12, amount: { amount: 3_060, currency: 'GBP' } },
        France: { orders: 1, amount: { amount: 1_800 } },
        'Channel Islands': { orders: 1, amount: { amount: 38 } },
      },
      excluded: { cancellation: 1, quantity_not_positive: 1, malformed: 0 },
      cancellations: { matched: 1, unmatched: 0 },
      carried: { completed: 3, cancelled: 0, open: 0, units: { cancelled: 0, returned: 5 }, refundedPennies: 1_275 },
      ledger: { captured: 4_898, refunded: 1_275, sales: 3_623, receivable: 0, consistent: true },
    })
    const client = createClient({ url: server.url, key: 'sk_dev' })
    const orderOf = async (reference: string) => (await client.orders.list({ reference })).data[0]!
    const guest = await orderOf('900367')
    expect(guest).toMatchObject({
      status: 'completed',
      placed_at: '2010-06-01T08:00:00.000Z',
      customer: null,
      shipping_address: null,
      metadata: { country: 'Channel Islands' },
      lines: [{ sku: '21730', quantity: 3, unit_price: null, amount: { amount: 38, currency: 'GBP' } }],
    })
    expect(await orderOf('900365')).toMatchObject({
      customer: { external_id: '17850' },
      shipping_address: { country: 'GB' },
    })

    const second = await run(...args)
    expect(second.code, second.stderr).toBe(0)
    expect(second.json).toMatchObject({ ...sums, created: 0, replayed: 3 })
    expect(await orderOf('900367')).toEqual(guest)
    expect(await client.stock.get('85123A')).toMatchObject({ on_hand: 5, committed: 0, available: 5 }) // five came back
  })

  test('replay tells which orders were refused, and ends with exit code 1', async () => {
    const path = join(folder.data, 'taken.csv')
    const rows = ['Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country']
    // The key was used for another body: the file is not the one that was replayed before.
    await writeFile(path, [...rows, '900366,POST,POSTAGE,2,2010-06-01 09:00:00,18,12583,France', ''].join('\n'))
    const ended = await run('replay', '--format', 'online-retail', path, ...onServer())
    expect(ended.code).toBe(1)
    expect(ended.json).toMatchObject({
      invoices: 1,
      orders: 0,
      created: 0,
      replayed: 0,
      refused: { idempotency_key_reused: 1 },
    })
  })

  const published =
    process.env.HOLDFAST_DATA && join(process.env.HOLDFAST_DATA, 'online-retail/online_retail_2009-2010.csv.gz')
  test.skipIf(!published)(
    'replay of the published file has its known figures, twice',
    { timeout: 300_000 },
    async () => {
      const args = ['replay', '--format', 'online-retail', published!, ...onServer()]
      const figures = {
        invoices: 20_951,
        orders: 20_951,
        lines: 511_565,
        units: 5_831_928,
        amount: { amount: 1_030_589_201, currency: 'GBP' },
      }
      const first = await run(...args)
      expect(first.code, first.stderr).toBe(0)
      expect(first.json).toMatchObject({
        ...figures,
        created: 20_951,
        replayed: 0,
        file: { amount_unrounded: '10305892.024' },
      })
      const before = await run('audit', '--fresh', ...onServer())
      const second = await run(...args)
      expect(second.json).toMatchObject({ ...figures, created: 0, replayed: 20_951 })
      const after = await run('audit', '--fresh', ...onServer())
      expect(after.json).toMatchObject({ consistent: true, sums: before.json.sums, position: before.json.position })
    },
  )

  test('audit answers for the server and for its database, and finds a counter that was changed behind their back', async () => {
    const before = await run('audit', '--fresh', ...onServer())
    expect(before.code, before.stderr).toBe(0)
    expect(before.json).toMatchObject({ consistent: true, differences: [] })
    const ofFolder = await run('audit', ...onFolder())
    expect(ofFolder.json.sums).toEqual(before.json.sums)
    expect(ofFolder.json.money).toEqual(before.json.money)
    expect(ofFolder.stdout).toMatch(/Money, minor units of EUR +Sum\n[\s\S]*sales +[\d,]+\n/)
    const sql = openSql(await embeddedUrl(folder.data), { max: 1 })
    try {
      await sql`update stock.rows set committed = committed - 1 where sku = 'LAMP-BRASS'`
      await sql`update ledger.balances set debit = debit + 1 where account = 'external' and currency = 'EUR'`
    } finally {
      await sql.end()
    }
    const difference = { sku: 'LAMP-BRASS', counter: 'committed', expected: 1, actual: 0 }
    for (const where of [['--fresh', ...onServer()], onFolder()]) {
      const after = await run('audit', ...where)
      expect(after.code).toBe(1)
      expect(after.json).toMatchObject({ consistent: false, differences: [difference] })
      expect(after.json.money.differences).toMatchObject([{ check: 'balances', what: 'external debit' }])
      expect(after.stdout).toContain('NOT CONSISTENT')
    }
  })
})
