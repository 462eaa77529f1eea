// An embedded server that died, when it is stopped while it is just being started again: nothing of it stays behind.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Embedded, startEmbedded } from '../../src/runtime/embedded.ts'
import { processesIn } from '../../src/runtime/embedded-postmaster.ts'
import { throwAwaySettings } from '../../src/runtime/embedded-settings.ts'
import { eventually } from '../support/eventually.ts'

let folder: string
let server: Embedded
let lost: Promise<void>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-embedded-'))
  lost = new Promise((onLost, onError) => {
    startEmbedded({ folder, settings: throwAwaySettings, durable: false, onLost }).then((started) => {
      server = started
      process.kill(server.pid(), 'SIGKILL')
    }, onError)
  })
  await lost
}, 60_000)

afterEach(() => rm(folder, { recursive: true, force: true }))

test('stopped at the same moment', async () => {
  const restarted = server.restart()
  await server.stop()
  expect(processesIn(server.cluster)).toEqual([])
  expect(await restarted).toBe(false)
  expect(await server.restart()).toBe(false)
  expect(processesIn(server.cluster)).toEqual([])
})

test('stopped as soon as a new one shows itself', async () => {
  const restarted = server.restart()
  await eventually(() => processesIn(server.cluster).length > 0, 20_000)
  await server.stop()
  expect(processesIn(server.cluster)).toEqual([])
  await restarted
})

test('started again it runs, and is stopped like any', async () => {
  expect(await server.restart()).toBe(true)
  expect(processesIn(server.cluster)).not.toEqual([])
  await server.stop()
  expect(processesIn(server.cluster)).toEqual([])
})
