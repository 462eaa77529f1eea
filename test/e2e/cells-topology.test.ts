// Promises of holdfast cells about the topology: cells are added, drained and removed through those that run, and what is wrong
// is said in one line.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runHoldfast } from '../support/holdfast.ts'
import { type HttpCell, openHttpCell, receive } from '../support/http-cell.ts'

let eu1: HttpCell
let us1: HttpCell
beforeAll(async () => {
  eu1 = await openHttpCell()
  us1 = await openHttpCell({}, { name: 'us1' })
})
afterAll(async () => {
  await eu1.stop()
  await us1.stop()
})

/** What it printed, and the last line of standard output as JSON. */
async function cells(...args: string[]) {
  const ended = await runHoldfast(['cells', ...args, '--json'])
  // biome-ignore lint/suspicious/noExplicitAny: what a command prints has no type here
  return { ...ended, json: JSON.parse(ended.stdout.trimEnd().split('\n').at(-1)!) as any }
}

async function done(...args: string[]) {
  const ended = await cells(...args)
  expect(ended.stderr).toBe('')
  return ended
}

async function failure(...args: string[]): Promise<string> {
  const ended = await cells(...args)
  expect(ended.code).toBe(1)
  expect(ended.stderr).toMatch(/^holdfast cells: .*\n$/)
  expect(ended.stderr).toContain(ended.json.error.message)
  return `${ended.json.error.code}: ${ended.json.error.message}`
}

const topologyOf = async (cell: HttpCell) => (await cell.call('GET', '/v1/cells')).json.topology
const statesIn = ({ cells: some }: { cells: { name: string; state: string }[] }) =>
  some.map(({ name, state }) => `${name} ${state}`)

test.each([
  [[], /Say list, add, set, drain/],
  [['grow'], /Say list, add, set, drain/],
  [['list', 'eu1', '--url', 'http://127.0.0.1'], /one word too many/],
  [['list', '--url', 'nowhere'], /nowhere is no address/],
  [['drain'], /Name a cell to drain/],
  [['drain', 'EU1'], /Name a cell to drain/],
  [['remove', 'eu1', 'us1'], /us1 is one word too many/],
  [['add', 'us1', '--url', 'http://127.0.0.1:1'], /--at must be the address/],
  [['add', 'us1', '--at', 'http://127.0.0.1:1', '--durability', 'both'], /--durability must be local or geo/],
  [['set', 'us1'], /Say --durability, --on-isolation or --standby/],
  [['set', '--durability', 'geo'], /Name a cell to set/],
  [['add', 'us1', '--at', 'http://127.0.0.1:1', '--on-isolation', 'wait'], /--on-isolation must be sell or stop/],
])('what is wrong with %j is said before anybody is asked', async (args, line) => {
  expect(await failure(...args)).toMatch(line)
})

describe('cells that run', () => {
  test('are listed with what one of them knows', async () => {
    const { stdout, json } = await done('list', '--url', eu1.url)
    expect(stdout).toMatch(/^Version 1, made at eu1\n/)
    expect(stdout).toMatch(/^eu1 +world +active +http\S+ +yes +0\.0 ms +no$/m)
    expect(json.data).toMatchObject([{ name: 'eu1', reachable: true }])
  })

  test('are added to each other: both know both, by the address and the key of each', async () => {
    const add = ['add', 'us1', '--at', us1.url, '--url', eu1.url]
    expect(await failure(...add)).toMatch(/region_unknown: us1 is in the region us, which is in no zone/)
    expect(await failure('add', 'us2', '--at', us1.url, '--url', eu1.url, '--zone', 'world')).toMatch(
      /wrong_cell: At \S+ answers us1, not us2/,
    )
    expect(await failure(...add, '--zone', 'world', '--durability', 'geo')).toMatch(/standby_required/)
    const key = (await topologyOf(us1)).cells[0].public_key
    const { stdout } = await done(...add, '--zone', 'world', '--on-isolation', 'stop')
    expect(stdout).toMatch(/^us1 is added \(version \d+\)\.$/m)
    for (const cell of [eu1, us1]) {
      const topology = await topologyOf(cell)
      expect(statesIn(topology)).toEqual(['eu1 active', 'us1 active'])
      expect(topology.cells[1]).toMatchObject({ url: us1.url, public_key: key, on_isolation: 'stop' })
      expect(topology.zones).toEqual([{ name: 'world', regions: ['eu', 'us'] }])
    }
    expect(await failure(...add)).toMatch(/repeated: There are two cells us1/)
  })

  test('drain, and may think better of it', async () => {
    await done('drain', 'us1', '--url', eu1.url)
    expect(statesIn(await topologyOf(eu1))).toEqual(['eu1 active', 'us1 draining'])
    await done('activate', 'us1', '--url', eu1.url)
    expect(statesIn(await topologyOf(eu1))).toEqual(['eu1 active', 'us1 active'])
    expect(await failure('drain', 'ap1', '--url', eu1.url)).toMatch(/cell_unknown: There is no cell ap1/)
  })

  test('are told what they promise; one is made local at the cell itself, whoever was asked', async () => {
    const set = (...args: string[]) => done('set', 'us1', ...args, '--url', eu1.url)
    expect(await failure('set', 'us1', '--durability', 'geo', '--url', eu1.url)).toMatch(/standby_required/)
    expect(await failure('set', 'us1', '--standby', 'mars', '--url', eu1.url)).toMatch(/region_unknown/)
    const { stdout } = await set('--durability', 'geo', '--standby', 'eu', '--on-isolation', 'stop')
    expect(stdout).toMatch(/^us1 is geo, its standby in eu; alone it stops \(version \d+\)\.$/m)
    const standing = async (cell: HttpCell) => (await topologyOf(cell)).cells[1]
    expect(await standing(eu1)).toMatchObject({ durability: 'geo', standby: { region: 'eu' }, on_isolation: 'stop' })
    await done('set', 'us1', '--durability', 'geo', '--standby', 'eu', '--url', us1.url)
    await set('--durability', 'local')
    expect(await standing(us1)).toMatchObject({ durability: 'local', standby: null })
    expect((await standing(eu1)).durability).toBe('geo') // these two have no keys of each other, so nobody tells it
  })

  test('are removed by the cell itself, through any of them, and not while anything of it is left', async () => {
    const remove = () => failure('remove', 'us1', '--url', eu1.url)
    expect(await remove()).toMatch(/not_draining: us1 is not draining/)
    for (const cell of [eu1, us1]) await done('drain', 'us1', '--url', cell.url)
    await receive(us1, 'A-1', 1)
    expect(await remove()).toMatch(/cell_not_emptied: .*Locations have their home here: main/)
    await us1.call('PUT', '/v1/locations/main', { body: { name: 'Main', cell: 'eu1' } })
    expect(await remove()).toMatch(/cell_not_emptied: /)
  })

  test('that do not answer are told apart from those that refuse', async () => {
    expect(await failure('drain', 'eu1', '--url', eu1.url, '--key', 'sk_nobody')).toMatch(/unauthorized/)
    expect(await failure('add', 'eu2', '--at', 'http://127.0.0.1:1', '--url', eu1.url)).toMatch(
      /unreachable: eu2 does not answer at http:\/\/127\.0\.0\.1:1/,
    )
  })
})
