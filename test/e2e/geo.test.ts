// `holdfast start --durability geo` on real processes: its standby is made, dies, comes back, is taken away and made again.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { processesIn, readPostmaster } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import { everyProcess, makeDataFolder, type Running, runHoldfast, startHoldfast } from '../support/holdfast.ts'
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

test('a geo cell sells with a standby of its own, again after that has died, and without one while it is set local', async () => {
  const { data, remove } = await makeDataFolder()
  const standby = join(data, 'eu1', 'standby-us', 'pg')
  const set = async (server: Running, ...terms: string[]) => {
    const ended = await runHoldfast(['cells', 'set', 'eu1', ...terms, '--url', server.url])
    expect([ended.code, ended.stderr]).toEqual([0, ''])
    return ended.stdout
  }
  const sells = async (server: Running) => (await post(server, '/v1/orders', orderBody('A'))).status === 201
  const first = await startHoldfast([`--data=${data}`, '--cells=eu1', '--durability=geo', '--standby-region=us'])
  await isReady(first)
  const adjustments = [{ sku: 'A', delta: 100, reason: 'received' }]
  expect((await post(first, '/v1/stock/adjustments', { adjustments })).status).toBe(200)
  expect(await sells(first)).toBe(true)

  process.kill((await readPostmaster(standby))!.pid, 'SIGKILL')
  await eventually(() => sells(first), 20_000)

  expect(await set(first, '--durability', 'local')).toMatch(/^eu1 is local; alone it sells \(version 2\)\.$/m)
  await eventually(() => processesIn(standby).length === 0, 20_000)
  expect(await sells(first)).toBe(true)
  expect(await set(first, '--durability', 'geo', '--standby', 'us')).toMatch(/geo, its standby in us/)
  await eventually(() => processesIn(standby).length > 0, 20_000)
  await isReady(first)
  expect(await sells(first)).toBe(true)
  await stop(first)
  expect(processesIn(standby)).toEqual([])

  const again = await startHoldfast([`--data=${data}`, '--cells=eu1', '--durability=local'])
  await isReady(again)
  expect(processesIn(standby)).not.toEqual([]) // the topology says so, and counts
  expect(await sells(again)).toBe(true)
  await stop(again)
  expect(everyProcess(data)).toEqual([])
  await remove()
})
