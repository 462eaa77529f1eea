// Promises of the commands that an operator steers with: settings, dead and consumer, beside a server that runs.
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient } from '../../sdk/src/client.ts'
import { limits } from '../../src/base/limits.ts'
import { openSql } from '../../src/runtime/database-url.ts'
import { eventually } from '../support/eventually.ts'
import { embeddedUrl, makeDataFolder, type Running, runHoldfast, startHoldfast } from '../support/holdfast.ts'

let folder: Awaited<ReturnType<typeof makeDataFolder>>
let server: Running
beforeAll(async () => {
  folder = await makeDataFolder()
  server = await startHoldfast(['--data', folder.data])
})
afterAll(async () => {
  server.interrupt()
  await server.ended
  await folder.remove()
})

/** The last line of standard output, and the exit code. */
async function run(...args: string[]) {
  const ended = await runHoldfast([...args, '--data', folder.data, '--json'])
  // biome-ignore lint/suspicious/noExplicitAny: what a command prints has no type here
  return { ...ended, json: JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!) as any }
}

/** Many settings, dead letters and consumers are there to be asked; one statement on the database is enough to make them. */
async function write(text: string, params: string[] = []): Promise<Record<string, unknown>[]> {
  const sql = openSql(await embeddedUrl(folder.data), { max: 1 })
  try {
    return await sql.unsafe(text, params)
  } finally {
    await sql.end()
  }
}

test.each([
  [['settings'], /Say show, set or history/],
  [['settings', 'show', 'x'], /one word too many/],
  [['settings', 'set'], /Say NAME=VALUE, or --file/],
  [['settings', 'set', 'capture'], /capture is no setting/],
  [['settings', 'set', 'risk=1'], /risk=1 is no setting/],
  [['settings', 'set', 'capture=later'], /capture: must be equal/],
  [['settings', 'set', 'reservation_seconds=soon'], /reservation_seconds: must be integer/],
  [['settings', 'set', 'risk.refuse.countries=["QQ"]'], /risk\.refuse\.countries\.0: country unknown/],
  [['settings', 'set', '--file', '/nowhere.json'], /ENOENT/],
  [['dead'], /Say list, show, retry or drop/],
  [['dead', 'list', '--kind', 'mail'], /There is no kind mail/],
  [['dead', 'show'], /Name the id of one/],
  [['dead', 'show', 'event:7'], /no dead letter event:7/],
  [['dead', 'retry'], /Name the ids/],
  [['dead', 'retry', 'x', '--all'], /Name the ids/],
  [['dead', 'retry', 'whd_x'], /no dead letter whd_x/],
  [['dead', 'drop', 'x'], /--reason is missing/],
  [['consumer'], /Say list, pause, resume or rewind/],
  [['consumer', 'pause'], /Name a consumer/],
  [['consumer', 'pause', 'nobody'], /No consumer nobody/],
  [['consumer', 'rewind', 'payments'], /--to is missing/],
  [['consumer', 'rewind', 'payments', '--to', 'monday'], /position is none of this database/],
])('what is wrong is said in one line, with exit code 1: %s', async (args, line) => {
  const ended = await run(...args)
  expect(ended.code).toBe(1)
  expect(ended.stderr.trimEnd().split('\n').at(-1)).toMatch(line)
  expect(ended.stderr).not.toMatch(/^ +at /m)
  expect(ended.json.error.message).toMatch(line)
})

const order = { currency: 'EUR', lines: [{ sku: 'A-1', quantity: 1, unit_price: { amount: 500, currency: 'EUR' } }] }

describe('beside a running server', () => {
  const client = () => createClient({ url: server.url, key: 'sk_dev' })
  beforeAll(() => client().stock.adjust([{ sku: 'A-1', delta: 1_000_000, reason: 'received' }]))

  test('settings are shown and set one by one or whole, and orders are placed under them within seconds', async () => {
    const first = await run('settings', 'show')
    expect(first.json.settings).toMatchObject({ version: 0, capture: 'now', reservation_seconds: 900 })
    const set = await run('settings', 'set', 'reservation_seconds=120', 'risk.review_above={"EUR":1000}')
    expect(set.json.settings).toMatchObject({
      version: 1,
      reservation_seconds: 120,
      risk: { review_above: { EUR: 1000 } },
    })
    expect(set.stdout).toMatch(/reservation_seconds +120 +900/)
    const again = await run('settings', 'set', 'capture=at_shipment')
    expect(again.json.settings).toMatchObject({ version: 2, reservation_seconds: 120, capture: 'at_shipment' })
    const reserved = async () => {
      const { expires_at, created_at } = await client().orders.place(order)
      return Math.round((Date.parse(expires_at!) - Date.parse(created_at)) / 1000)
    }
    await eventually(async () => (await reserved()) === 120, limits.keyRememberedMs + 2_000)
    const file = join(folder.data, 'settings.json')
    await writeFile(file, '{"rounding":"down"}')
    expect((await run('settings', 'set', '--file', file)).json.settings).toMatchObject({ version: 3, capture: 'now' })
    await eventually(async () => (await reserved()) === 900, limits.keyRememberedMs + 2_000)
    await writeFile(file, '{"version":3}')
    expect((await run('settings', 'set', '--file', file)).json.error.message).toMatch(/version/)
    const { settings } = (await run('settings', 'history')).json
    expect(settings.map(({ version }: { version: number }) => version)).toEqual([3, 2, 1])
    expect(settings[2].risk.review_above).toEqual({ EUR: 1000 })
  })

  test('a consumer is paused, resumed and rewound, and its effects stay single', async () => {
    const named = async (name: string) => {
      const { consumers } = (await run('consumer', 'list')).json
      return consumers.find((one: { name: string }) => one.name === name)
    }
    expect((await run('consumer', 'pause', 'payments')).json.consumers).toMatchObject([
      { name: 'payments', paused: true },
    ])
    let placed = { id: '', status: '' }
    // The server heeds it within half a second: until then attempts to pay are called as soon as they are placed.
    await eventually(async () => {
      placed = await client().orders.place({ ...order, payment: { provider: 'test', method: 'tok_ok' } }, { wait: 1 })
      return placed.status === 'pending'
    })
    const status = async () => (await client().orders.get(placed.id)).status
    await eventually(async () => (await named('ledger')).lag_events === 0)
    expect((await named('payments')).lag_events).toBeGreaterThan(0)
    expect(await status()).toBe('pending')
    await run('consumer', 'resume', 'payments')
    await eventually(async () => (await status()) === 'confirmed')
    const { position } = await named('payments')
    expect((await run('consumer', 'rewind', 'payments', '--to', 'start')).code).toBe(0)
    await eventually(async () => (await named('payments')).lag_events === 0, 10_000)
    expect((await run('consumer', 'rewind', 'payments', '--to', position)).code).toBe(0)
    const answer = await fetch(`${server.url}/v1/test-provider/charges?order=${placed.id}`, {
      headers: { authorization: 'Bearer sk_dev' },
    })
    expect(await answer.json()).toMatchObject({ data: [{ amount: 500, captured: 500 }] })
  })

  test('dead letters are listed, shown, retried and dropped with a reason', async () => {
    const rows = await write(
      `with counted as (update runtime.consumers set dead = dead + 3 where name = 'ledger' returning name)
       insert into runtime.dead_events (consumer, seq, shop_id, event_id, subject, subject_version, type, at, data, reason, tries)
       select name, 1, 1, gen_random_uuid(), case v when 9 then 'sku:b' else 'sku:a' end, v, 'order.noted', clock_timestamp(), '{}',
         'Error: no', case v when 4 then 0 else 10 end
       from counted, unnest('{3,4,9}'::int[]) v returning 'event:' || id as id`,
    )
    const [head, behind, other] = rows.map(({ id }) => String(id))
    const { json, stdout } = await run('dead', 'list', '--kind', 'consumer_event')
    expect(json.dead_letters.map(({ id }: { id: string }) => id)).toEqual([other, behind, head])
    expect(stdout).toContain('Error: no')
    expect((await run('dead', 'show', head!)).json.dead_letter).toMatchObject({
      tries: 10,
      data: { consumer: 'ledger' },
    })
    const because = ['--reason', 'seen to by hand']
    expect((await run('dead', 'drop', behind!, ...because)).json.error.code).toBe('dead_letter_blocked')
    expect((await run('dead', 'drop', other!, ...because)).code).toBe(0)
    expect((await run('dead', 'list', '--dropped')).json.dropped).toMatchObject([
      { id: other, drop_reason: 'seen to by hand', reason: 'Error: no' },
    ])
    // One of them may be gone before it is asked for: a retry of either applies both.
    const { retried } = (await run('dead', 'retry', '--all')).json
    expect([head, behind]).toEqual(expect.arrayContaining(retried))
    expect(retried).not.toEqual([])
    const left = async () => (await write(`select dead from runtime.consumers where name = 'ledger'`))[0]!.dead
    await eventually(async () => (await left()) === 0, 10_000)
    expect((await run('dead', 'list')).json.dead_letters).toEqual([])
    expect((await run('dead', 'retry', `event:${randomUUID()}`)).json.error.code).toBe('dead_letter_not_found')
  })
})
