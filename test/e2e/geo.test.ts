// `holdfast start --durability geo` on real processes: its standby is made, dies, comes back and is left behind.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { processesIn, readPostmaster } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import { everyProcess, makeDataFolder, type Running, startHoldfast } from '../support/holdfast.ts'
import { orderBody } from '../support/http-cell.ts'

const post = (server: Running, path: string, body: object) =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer sk_dev',
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    },
    body: JSON.stringify(body),
  })

const isReady = (server: Running): Promise<void> =>
  eventually(async () => (await fetch(`${server.url}/readyz`)).status === 200, 20_000)

async function stop(server: Running): Promise<void> {
  server.interrupt()
  expect((await server.ended).code).toBe(0)
}

test('a geo cell sells with a standby of its own, again after that has died, and without one once it is local', async () => {
  const { data, remove } = await makeDataFolder()
  const standby = join(data, 'eu1', 'standby-us', 'pg')
  const first = await startHoldfast([`--data=${data}`, '--durability=geo', '--standby-region=us'])
  await isReady(first)
  const adjustments = [{ sku: 'A', delta: 10, reason: 'received' }]
  expect((await post(first, '/v1/stock/adjustments', { adjustments })).status).toBe(200)
  expect((await post(first, '/v1/orders', orderBody('A'))).status).toBe(201)

  process.kill((await readPostmaster(standby))!.pid, 'SIGKILL')
  await eventually(async () => (await post(first, '/v1/orders', orderBody('A'))).status === 201, 20_000)
  await stop(first)
  expect(processesIn(standby)).toEqual([])

  const local = await startHoldfast([`--data=${data}`])
  expect((await post(local, '/v1/orders', orderBody('A'))).status).toBe(201)
  await stop(local)
  expect(everyProcess(data)).toEqual([])
  await remove()
})
