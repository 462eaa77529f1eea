import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { cellProcess, makeDataFolder, postmasterPid, type Running, startHoldfast } from '../support/holdfast.ts'

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
  Object.fromEntries([...server.output().matchAll(/ (http:\S+) +(\w+1)\b/g)].map(([, url, cell]) => [cell, url]))

/** The name of the cell that answers there; undefined when none does. */
const answersAs = async (url: string): Promise<string | null | undefined> =>
  (
    await fetch(`${url}/v1/stock/A-1`, { headers: { authorization: 'Bearer sk_dev' } }).catch(() => undefined)
  )?.headers.get('holdfast-cell')

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
})
