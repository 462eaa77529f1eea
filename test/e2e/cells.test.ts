// Several cells by one command, on real processes: each stands and falls alone, and what keeps them from starting is said before
// anything runs.
import { existsSync, readFileSync } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSql } from '../../src/runtime/database-url.ts'
import { isAlive } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import {
  cellProcess,
  embeddedUrl,
  everyProcess,
  makeDataFolder,
  postmasterPid,
  type Running,
  runHoldfast,
  startHoldfast,
} from '../support/holdfast.ts'

const cells = ['eu1', 'us1', 'ap1'] as const

let data: string
let remove: () => Promise<void>
let server: Running

beforeAll(async () => {
  ;({ data, remove } = await makeDataFolder())
  server = await startHoldfast([`--data=${data}`, `--cells=${cells}`])
})

afterAll(async () => {
  server.interrupt()
  await server.ended
  await remove()
})

/** As the welcome names them, by cell. */
const urls = (): Record<string, string> =>
  Object.fromEntries([...server.output().matchAll(/ (http:\S+) +([a-z]+\d)\b/g)].map(([, url, cell]) => [cell, url]))

/** The name of the cell that answers there; undefined when none does. */
const answersAs = async (url: string): Promise<string | null | undefined> =>
  (
    await fetch(`${url}/v1/stock/A-1`, { headers: { authorization: 'Bearer sk_dev' } }).catch(() => undefined)
  )?.headers.get('holdfast-cell')

type TopologyJson = {
  version: number
  by: string
  zones: unknown[]
  cells: { name: string; url: string; state: string }[]
}

const topologyFile = (): TopologyJson => JSON.parse(readFileSync(join(data, 'topology.json'), 'utf8'))

/** As each of them has stored it. */
const topologiesOf = (names: readonly string[], folder = data): Promise<TopologyJson[]> =>
  Promise.all(
    names.map(async (name) => {
      const sql = openSql(await embeddedUrl(folder, name), { max: 1 })
      const [row] = await sql<{ topology: string }[]>`select topology from runtime.topology`
      await sql.end()
      return JSON.parse(row!.topology)
    }),
  )

const processesOf = async (cell: string) => ({
  node: cellProcess(data, cell),
  postgres: await postmasterPid(data, cell),
})

describe('three cells started by one command', () => {
  test('answer at the URLs that the welcome tells, each as itself, with processes and data of its own', async () => {
    expect(Object.keys(urls())).toEqual([...cells])
    for (const cell of cells) expect(await answersAs(urls()[cell]!)).toBe(cell)
    const found = await Promise.all(cells.map(processesOf))
    expect(new Set(found.flatMap(({ node, postgres }) => [node, postgres])).size).toBe(6)
  })

  test('do not feel the kill -9 of one of them, which comes back at its place', async () => {
    const before = await Promise.all(['eu1', 'ap1'].map(processesOf))
    const killed = await processesOf('us1')
    process.kill(killed.node!, 'SIGKILL')
    process.kill(killed.postgres!, 'SIGKILL')
    for (const cell of ['eu1', 'ap1']) expect(await answersAs(urls()[cell]!)).toBe(cell)
    await eventually(async () => (await answersAs(urls().us1!)) === 'us1', 20_000)
    expect((await processesOf('us1')).node).not.toBe(killed.node)
    expect(await Promise.all(['eu1', 'ap1'].map(processesOf))).toEqual(before)
  })

  test('are stopped and started one by one, by a command that finds them through their data folder', async () => {
    const cell = async (...args: string[]) => {
      const ended = await runHoldfast(['cells', ...args, `--data=${data}`, '--json'])
      expect(ended.stderr).toBe('')
      return JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!)
    }
    const stopped = await processesOf('us1')
    expect((await cell('stop', 'us1')).cells).toEqual([{ cell: 'us1', state: 'stopped', url: urls().us1 }])
    expect(isAlive(stopped.node!) || isAlive(stopped.postgres!)).toBe(false)
    expect(await Promise.all(cells.map((name) => answersAs(urls()[name]!)))).toEqual(['eu1', undefined, 'ap1'])
    const states = (await cell('list')).cells.map(({ state }: { state: string }) => state)
    expect(states).toEqual(['running', 'stopped', 'running'])
    await cell('start', 'us1')
    expect(await answersAs(urls().us1!)).toBe('us1')
    const again = await cell('start', 'us1') // it runs already
    expect(again.cells[0].state).toBe('running')
    const unknown = await runHoldfast(['cells', 'stop', 'us2', `--data=${data}`])
    expect(unknown.stderr).toMatch(/No cell us2 is run here; there are eu1, us1, ap1/)
  })

  test('know each other, and hear of a cell that is added', async () => {
    expect(await topologiesOf(cells)).toEqual([topologyFile(), topologyFile(), topologyFile()])
    expect(topologyFile().cells.map(({ name, url }) => [name, url])).toEqual(Object.entries(urls()))
    const added = await runHoldfast(['cells', 'add', 'eu2', `--data=${data}`])
    expect(added.stderr).toBe('')
    expect(await answersAs(topologyFile().cells[3]!.url)).toBe('eu2')
    await eventually(async () => (await topologiesOf(cells)).every(({ cells: known }) => known.length === 4))
    const again = await runHoldfast(['cells', 'add', 'eu2', `--data=${data}`])
    expect(again.stderr).toMatch(/eu2/)
    expect(again.code).toBe(1)
  })

  test('keep a second start from their folder, which touches nothing of it', async () => {
    const ended = await runHoldfast(['start', '--port=0', `--data=${data}`])
    expect(ended.stderr).toMatch(
      new RegExp(`^holdfast start: Another Holdfast \\(pid ${server.child.pid}\\) runs on ${data}`),
    )
    expect(ended.code).toBe(1)
    expect(await Promise.all(cells.map((name) => answersAs(urls()[name]!)))).toEqual([...cells])
  })

  test('move together when they are started on other ports, those that are not started too', async () => {
    const before = topologyFile()
    server.interrupt()
    expect((await server.ended).code).toBe(0)
    expect(everyProcess(data)).toEqual([])
    server = await startHoldfast([`--data=${data}`, '--cells=us1,eu1'])
    const moved = topologyFile()
    expect(moved.version).toBe(before.version + 1)
    expect(moved.cells.map(({ name }) => name)).toEqual(before.cells.map(({ name }) => name))
    expect(moved.cells.filter(({ url }) => before.cells.some((cell) => cell.url === url))).toEqual([])
    expect(Object.fromEntries(moved.cells.map(({ name, url }) => [name, url]))).toMatchObject(urls())
    expect(await topologiesOf(['us1', 'eu1'])).toEqual([moved, moved])
    expect((await runHoldfast(['cells', 'start', 'ap1', `--data=${data}`])).code).toBe(0)
    expect(await answersAs(moved.cells[2]!.url)).toBe('ap1')
  })

  test('that are removed stop, and the others know it though nobody greets them any more', async () => {
    expect((await runHoldfast(['cells', 'start', 'eu2', `--data=${data}`])).code).toBe(0) // each has to have heard that it leaves
    const command = (...words: string[]) => runHoldfast(['cells', ...words, '--url', urls().us1!])
    expect((await command('drain', 'ap1')).code).toBe(0)
    await eventually(async () => (await command('remove', 'ap1')).code === 0, 60_000)
    await eventually(() => cellProcess(data, 'ap1') === undefined, 60_000)
    await eventually(async () =>
      (await topologiesOf(['eu1', 'us1', 'eu2'])).every(({ cells: all }) =>
        all.some(({ name, state }) => name === 'ap1' && state === 'removed'),
      ),
    )
  })
})

describe('nothing is started', () => {
  test('when the port of any cell is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await eventually(() => other.listening)
    const { port } = other.address() as { port: number }
    const folder = await makeDataFolder()
    const ended = await runHoldfast(['start', `--port=${port - 2}`, `--data=${folder.data}`])
    expect(ended.stderr).toMatch(/Port \d+ on 127.0.0.1 is in use/)
    expect(ended.code).toBe(1)
    expect(await readdir(folder.data)).toEqual([])
    other.close()
    await folder.remove()
  })

  test('when the topology that is given does not know the cell, and with one that does it is, and keeps to it', async () => {
    const { data: folder, remove: removeFolder } = await makeDataFolder()
    const made = await runHoldfast(['cells', 'key', 'eu1', `--data=${folder}`, '--json'])
    const { public_key } = JSON.parse(made.stdout.trimEnd().split('\n').at(-1)!)
    const terms = { state: 'active', durability: 'local', on_isolation: 'sell', standby: null }
    const cell = { name: 'eu1', url: 'http://127.0.0.1:4001', public_key, ...terms }
    const given = { version: 3, by: 'eu1', zones: [{ name: 'europe', regions: ['eu'] }], cells: [cell] }
    const file = join(folder, 'given.json')
    await writeFile(file, JSON.stringify(given))
    const args = [`--data=${folder}`, `--topology=${file}`]
    const refused = await runHoldfast(['start', '--cells=us1', '--port=0', ...args])
    expect(refused.stderr.trim().split('\n')).toEqual([expect.stringMatching(/--cells us1: .* knows no such cell/)])
    expect(refused.code).toBe(1)
    const run = await startHoldfast(args)
    expect(await topologiesOf(['eu1'], folder)).toEqual([given])
    expect(existsSync(join(folder, 'topology.json'))).toBe(false)
    run.interrupt()
    expect((await run.ended).code).toBe(0)
    await removeFolder()
  })
})
