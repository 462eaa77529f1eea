// Cells that are stopped and started by the chaos of their control room, on real processes of one `holdfast start`.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Client, createClient } from '../../sdk/src/client.ts'
import { eventually } from '../support/eventually.ts'
import { cellProcess, makeDataFolder, type Running, startHoldfast } from '../support/holdfast.ts'

let data: string
let remove: () => Promise<void>
let server: Running
let eu1: Client
let us1: Client

beforeAll(async () => {
  ;({ data, remove } = await makeDataFolder())
  server = await startHoldfast([`--data=${data}`, '--cells=eu1,us1'])
  const urlOf = (cell: string) => new RegExp(` (http:\\S+) +${cell}\\b`).exec(server.output())![1]!
  eu1 = createClient({ url: urlOf('eu1'), key: 'sk_dev', deadlineMs: 1_000 })
  us1 = createClient({ url: urlOf('us1'), key: 'sk_dev', deadlineMs: 1_000 })
  await eventually(() => answers(us1), 20_000) // it has received the shop whose key this is
})
afterAll(async () => {
  server.interrupt()
  await server.ended
  await remove()
})

const answers = (client: Client): Promise<boolean> =>
  client.pulse.read().then(
    () => true,
    () => false,
  )

test('a cell is stopped by another one, which sees it gone and goes on, and is started again', async () => {
  expect((await eu1.chaos.read()).can_stop).toBe(true)
  const watched = us1.pulse.stream()
  await watched.next()
  const ended = (async () => {
    for await (const _ of watched);
  })().catch((error) => error)
  await eu1.chaos.stopCell('us1')
  expect(await ended).toMatchObject({ code: 'unreachable' })
  await eventually(() => cellProcess(data, 'us1') === undefined, 30_000)
  await eventually(async () => !(await eu1.pulse.read()).peers[0]!.reachable, 10_000)
  await eu1.chaos.startCell('us1')
  await eventually(() => answers(us1), 30_000)
  await eventually(async () => (await eu1.pulse.read()).peers[0]!.reachable, 10_000)
})

test('a cell that is asked to stop itself is stopped, and another one starts it', async () => {
  await eu1.chaos.stopCell('eu1')
  await eventually(() => cellProcess(data, 'eu1') === undefined, 30_000)
  expect(await answers(us1)).toBe(true)
  await us1.chaos.startCell('eu1')
  await eventually(() => answers(eu1), 30_000)
})

test('a cell that this holdfast start does not run is neither stopped nor started', async () => {
  await expect(eu1.chaos.stopCell('ap1')).rejects.toMatchObject({ status: 409, code: 'not_supervised' })
  await expect(eu1.chaos.startCell('%2e%2e')).rejects.toMatchObject({ code: 'not_supervised' })
})
