// Every dependency dead or slow in turn, on three real cells: the rows of docs/FAILURES.md that no other test shows.
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { processesIn } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import { makeDataFolder, type Running } from '../support/holdfast.ts'
import { orderBody } from '../support/http-cell.ts'
import { signalAll } from '../support/signal-all.ts'
import { openWideArea, type WideArea } from '../support/wide-area.ts'
import { type Cell, cells } from './cells/plan.ts'
import { startCells } from './cells/scene.ts'

/** Only root can mount a disk so small that it can be filled: that of ap1. */
const canMount = process.getuid?.() === 0 && tryMount()
const smallDiskMib = 420
const outageMsMax = 40_000 // on a machine that does much else

let area: WideArea
let data: string
let remove: () => Promise<void>
let server: Running
let urls: Record<Cell, string>
let orderOfUs: string

beforeAll(async () => {
  ;({ data, remove } = await makeDataFolder())
  if (canMount) mountSmallDisk(join(data, 'ap1'))
  area = openWideArea(() => 20)
  ;({ server, urls } = await startCells(data, area, ['--disk-free-min=64']))
  // Who is not heard when goods come gets no part of them.
  for (const cell of cells) await eventually(() => hearsAll(cell), outageMsMax)
  for (const sku of ['A', 'B']) await receive('eu1', sku, 30_000)
  for (const cell of cells)
    for (const sku of ['A', 'B']) await eventually(async () => (await partOf(cell, sku)) > 1_000, outageMsMax)
  for (const cell of cells)
    for (const sku of ['A', 'B'])
      await eventually(async () => (await stockAt(cell, sku)).cells.length === cells.length, outageMsMax)
  orderOfUs = (await order('us1')).json.id
}, 150_000)

afterEach(() => area.heal())

afterAll(async () => {
  server.interrupt()
  await server.ended
  if (canMount) execFileSync('umount', ['--lazy', join(data, 'ap1')])
  await remove()
  await area.stop()
}, 60_000)

async function ask(cell: Cell, method: string, path: string, body?: object, key: string = crypto.randomUUID()) {
  const answer = await fetch(`${urls[cell]}${path}`, {
    method,
    headers: { authorization: 'Bearer sk_dev', 'content-type': 'application/json', 'idempotency-key': key },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  })
  // biome-ignore lint/suspicious/noExplicitAny: what is answered has no type here
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), json: (await answer.json()) as any }
}

const hearsAll = async (cell: Cell): Promise<boolean> =>
  (await ask(cell, 'GET', '/v1/cells')).json.data.every(({ reachable }: { reachable: boolean }) => reachable)
const order = (cell: Cell, { sku = 'A', quantity = 1, key }: { sku?: string; quantity?: number; key?: string } = {}) =>
  ask(cell, 'POST', '/v1/orders', orderBody(sku, quantity), key)
const adjust = (cell: Cell, change: object) =>
  ask(cell, 'POST', '/v1/stock/adjustments', { adjustments: [{ ...change }] })
const receive = (cell: Cell, sku: string, delta: number) => adjust(cell, { sku, delta, reason: 'received' })
const stockAt = async (cell: Cell, sku: string) => (await ask(cell, 'GET', `/v1/stock/${sku}`)).json
const partOf = async (cell: Cell, sku: string): Promise<number> => {
  const parts: { cell: Cell; on_hand: number }[] = (await stockAt(cell, sku)).cells ?? []
  return parts.find((part) => part.cell === cell)?.on_hand ?? 0
}
const part = (a: Cell, b: Cell, passage: 'cut' | 'silent') => {
  area.change(a, b, { passage })
  area.change(b, a, { passage })
}
const unreachable = { status: 503, json: { code: 'cell_unreachable' } }
const knowsItIsDown = (cell: Cell, other: Cell): Promise<void> =>
  eventually(async () => {
    const { data: told } = (await ask(cell, 'GET', '/v1/cells')).json
    return told.some((one: { name: Cell; reachable: boolean }) => one.name === other && !one.reachable)
  }, outageMsMax)

describe('a peer', () => {
  test.each(['cut', 'silent'] as const)(
    'that is %s: what is its own waits, and everything else is sold',
    async (passage) => {
      part('eu1', 'us1', passage)
      expect(await ask('eu1', 'GET', `/v1/orders/${orderOfUs}`)).toMatchObject({ ...unreachable, retryAfter: '1' })
      await knowsItIsDown('eu1', 'us1')
      expect((await order('eu1')).status).toBe(201)
      const key = `us1.${crypto.randomUUID()}`
      expect(await order('eu1', { key })).toMatchObject({ status: 503, json: { may_have_happened: false } })
      expect((await order('us1', { key })).status).toBe(201) // its own buyers notice nothing
      expect((await ask('ap1', 'GET', `/v1/orders/${orderOfUs}`)).status).toBe(200)
      expect(await adjust('eu1', { sku: 'A', set: 30_000, reason: 'counted' })).toMatchObject(unreachable)
      expect((await stockAt('eu1', 'A')).cells).toHaveLength(3) // as it was last heard, with its age
      area.heal()
      await eventually(async () => (await order('eu1', { key })).status === 201, outageMsMax)
    },
    90_000,
  )

  test('that is slow: what is its own is slow, and nothing else', async () => {
    area.change('eu1', 'us1', { delayMs: 200 })
    area.change('us1', 'eu1', { delayMs: 200 })
    await eventually(async () => (await ask('eu1', 'GET', `/v1/orders/${orderOfUs}`)).status === 200, outageMsMax)
    const startedAt = performance.now()
    expect((await order('eu1')).status).toBe(201)
    expect((await ask('eu1', 'GET', `/v1/orders/${orderOfUs}`)).status).toBe(200)
    expect(performance.now() - startedAt).toBeGreaterThan(399)
  }, 60_000)
})

test('without all others a cell sells what it has, says of the rest that it is out, and counts nothing', async () => {
  for (const other of ['us1', 'ap1'] as const) part('eu1', other, 'silent')
  for (const other of ['us1', 'ap1'] as const) await knowsItIsDown('eu1', other)
  const own = await partOf('eu1', 'B')
  expect((await order('eu1', { sku: 'B', quantity: own })).status).toBe(201)
  expect(await order('eu1', { sku: 'B' })).toMatchObject({ json: { code: 'insufficient_stock' } })
  expect(await adjust('eu1', { sku: 'B', set: 5, reason: 'counted' })).toMatchObject(unreachable)
  expect((await receive('eu1', 'B', 1)).status).toBe(200) // it is their home
  expect(await receive('us1', 'B', 1)).toMatchObject(unreachable)
  area.heal()
  await eventually(async () => (await order('eu1', { sku: 'B', quantity: 2 })).status === 201, outageMsMax)
}, 90_000)

describe('the disk', () => {
  test('that hangs: its cell answers 503 in the end, the others sell and do not wait for it, and afterwards the same key tells what became of it', async () => {
    const pids = processesIn(join(data, 'us1', 'pg')) // nothing of PostgreSQL moves, as while it waits for a write
    const key = `us1.${crypto.randomUUID()}`
    try {
      signalAll(pids, 'SIGSTOP')
      let isHanging = true
      const caught = order('us1', { key }).finally(() => {
        isHanging = false
      })
      expect((await order('eu1')).status).toBe(201)
      await knowsItIsDown('eu1', 'us1')
      expect(await order('eu1', { quantity: 100_000 })).toMatchObject({ json: { code: 'insufficient_stock' } })
      expect(await ask('eu1', 'GET', `/v1/orders/${orderOfUs}`)).toMatchObject(unreachable)
      expect(isHanging).toBe(true)
      expect((await caught).status).toBe(503)
    } finally {
      signalAll(pids, 'SIGCONT')
    }
    await eventually(async () => (await order('us1', { key })).status === 201, outageMsMax)
  }, 150_000)

  test.skipIf(!canMount)(
    'that is full (needs root, for a small disk): 503 and never a lost order, the others sell, and room is all it needs',
    async () => {
      const acknowledged: string[] = []
      const fill = join(data, 'ap1', 'fill')
      fillDisk(fill)
      let refusedWith: Awaited<ReturnType<typeof order>> | undefined
      await eventually(async () => {
        const answers = await Promise.all(Array.from({ length: 50 }, () => order('ap1')))
        acknowledged.push(...answers.flatMap(({ status, json }) => (status === 201 ? [json.id] : [])))
        refusedWith = answers.find(({ status }) => status !== 201)
        return refusedWith !== undefined
      }, outageMsMax)
      expect(refusedWith!.status).toBe(503)
      expect((await order('eu1')).status).toBe(201)
      rmSync(fill)
      await eventually(async () => (await order('ap1').catch(() => undefined))?.status === 201, outageMsMax)
      for (const id of acknowledged) expect((await ask('ap1', 'GET', `/v1/orders/${id}`)).status).toBe(200)
    },
    120_000,
  )
})

function tryMount(): boolean {
  const folder = join('/tmp', `holdfast-mount-${process.pid}`)
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' })
    execFileSync('umount', [folder])
    return true
  } catch {
    console.warn('the disk that is full is not shown: no tmpfs can be mounted here')
    return false
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function mountSmallDisk(folder: string): void {
  mkdirSync(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${smallDiskMib}m,mode=0755`, 'tmpfs', folder])
}

/** To the last byte. */
function fillDisk(file: string): void {
  const target = openSync(file, 'w')
  try {
    for (const bytes of [1024 * 1024, 4096]) {
      const chunk = Buffer.alloc(bytes)
      try {
        for (;;) writeSync(target, chunk)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(target)
  }
}
