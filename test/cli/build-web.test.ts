// What holdfast start does about a control room that has not been built.
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildWebIfMissing } from '../../src/cli/build-web.ts'
import { eventually } from '../support/eventually.ts'

let folder: string
let said: unknown[][]
const log = { info: (...one: unknown[]) => void said.push(one), warn: (...one: unknown[]) => void said.push(one) }
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-web-'))
  said = []
})
afterEach(() => rm(folder, { recursive: true }))

const build = async (program: string, stopping = new AbortController().signal) => {
  await writeFile(join(folder, 'build.ts'), program)
  return buildWebIfMissing(join(folder, 'build.ts'), log as never, stopping)
}
const building = `
  import { mkdirSync, writeFileSync } from 'node:fs'
  mkdirSync(import.meta.dirname + '/dist')
  writeFileSync(import.meta.dirname + '/dist/index.html', 'built')`

test('it is built when it is missing, and left as it is when it is there', async () => {
  await writeFile(join(folder, 'index.html'), '')
  await build(building)
  expect(await readFile(join(folder, 'dist/index.html'), 'utf8')).toBe('built')
  said = []
  await build('throw new Error("it was built again")')
  expect(said).toEqual([])
})

test('nothing is tried where there is nothing to build it from', async () => {
  await build(building)
  expect(existsSync(join(folder, 'dist'))).toBe(false)
  expect(said).toEqual([])
})

test('a build that fails is told in one line, with what to do', async () => {
  await writeFile(join(folder, 'index.html'), '')
  await build("import 'no-such-package'")
  expect(said.at(-1)).toEqual([
    { why: expect.stringContaining('no-such-package') },
    expect.stringContaining('npm run build:web'),
  ])
})

test('a build that is under way when Holdfast stops is ended', async () => {
  await writeFile(join(folder, 'index.html'), '')
  const stopping = new AbortController()
  const ended = build(
    `import { writeFileSync } from 'node:fs'
    writeFileSync(import.meta.dirname + '/begun', '')
    setInterval(() => {}, 1000)`,
    stopping.signal,
  )
  await eventually(() => existsSync(join(folder, 'begun')), 20_000)
  stopping.abort()
  await ended
  expect(said).toHaveLength(1)
})
