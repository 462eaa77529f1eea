// The socket by which a running `holdfast start` is told what to do: one listens on a folder, however long its name, and what a
// killed one left behind is in nobody's way.
import { once } from 'node:events'
import { mkdir, readdir, rename, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { askControl, type ControlRequest, openControl } from '../../src/cli/control.ts'
import { CommandFailure } from '../../src/cli/failure.ts'
import { makeDataFolder } from '../support/holdfast.ts'

let data: string
let remove: () => Promise<void>

beforeEach(async () => {
  ;({ data, remove } = await makeDataFolder())
})

afterEach(() => remove())

const us1 = 'us1' as CellName
const echo = async (request: ControlRequest) => {
  if (request.do !== 'list') throw new CommandFailure('cell_unknown', 'No such cell.')
  return [{ cell: us1, state: 'running' as const, url: 'http://127.0.0.1:1' }]
}

test('whoever may use the folder is answered, and nobody else may ask', async () => {
  const control = await openControl(data, echo)
  expect(await askControl(data, { do: 'list' })).toEqual({ pid: process.pid, cells: await echo({ do: 'list' }) })
  await expect(askControl(data, { do: 'stop', cell: us1 })).rejects.toMatchObject({ code: 'cell_unknown' })
  expect((await stat(join(data, 'control.sock'))).mode & 0o777).toBe(0o600)
  await control.close()
  expect(await readdir(data)).toEqual([])
  await expect(askControl(data, { do: 'list' })).rejects.toMatchObject({ code: 'not_running' })
})

test('a second one on the folder is refused, and one that was left behind is replaced', async () => {
  const first = await openControl(data, echo)
  await expect(openControl(data, echo)).rejects.toMatchObject({ code: 'data_folder_in_use' })
  await first.close()
  const killed = createServer().listen(join(data, 'control.sock'))
  await once(killed, 'listening')
  const left = join(data, 'left')
  await mkdir(left)
  await rename(join(data, 'control.sock'), join(left, 'control.sock'))
  killed.close()
  const next = await openControl(left, echo)
  expect((await askControl(left, { do: 'list' })).pid).toBe(process.pid)
  await next.close()
})

test('a folder whose name is too long for a socket has it elsewhere, and leaves nothing there', async () => {
  const deep = join(data, 'a'.repeat(120))
  const first = await openControl(deep, echo)
  expect((await askControl(deep, { do: 'list' })).pid).toBe(process.pid)
  await expect(openControl(deep, echo)).rejects.toMatchObject({ code: 'data_folder_in_use' })
  await first.close()
  expect(await readdir(deep)).toEqual([])
  await expect(askControl(deep, { do: 'list' })).rejects.toMatchObject({ code: 'not_running' })
})
