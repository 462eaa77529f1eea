// Promises of the wide area that tests put between cells: what it does to bytes, it does to those of one direction of one pair.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent, type Dispatcher } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually } from './eventually.ts'
import { readLatencies } from './latencies.ts'
import { openWideArea, type WideArea } from './wide-area.ts'

let area: WideArea
let server: Server
let url: string
/** What has reached b. */
let heard: string[]
let agents: Agent[]

beforeEach(async () => {
  heard = []
  agents = []
  server = createServer((request, response) => {
    heard.push(`${request.headers['holdfast-from']} ${request.url}`)
    request.resume().on('end', () => response.end('x'.repeat(Number(request.headers['x-bytes'] ?? 1))))
  }).listen(0, '127.0.0.1')
  await eventually(() => server.listening)
  area = openWideArea(() => 0)
  area.place('b', (server.address() as AddressInfo).port)
  url = await area.open('b')
})
afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.destroy()))
  await area.stop()
  server.closeAllConnections()
  server.close()
})

/** A process that keeps one connection, as cells do. */
function caller(name: string) {
  const agent = new Agent({ connections: 1, connect: { timeout: 20_000 } })
  agents.push(agent)
  return async (path: string, options: Partial<Dispatcher.RequestOptions> = {}): Promise<number> => {
    const headers = { 'holdfast-from': name, ...(options.headers as object) }
    const answer = await agent.request({ origin: url, path, method: 'POST', ...options, headers })
    return (await answer.body.text()).length
  }
}

test('who connects is known by what it says, and only its own way is slow', async () => {
  const [a, c] = [caller('a'), caller('c')]
  area.change('a', 'b', { delayMs: 300 })
  area.change('b', 'a', { delayMs: 200 })
  const timed = async (work: () => Promise<unknown>) => {
    const startedAt = performance.now()
    await work()
    return performance.now() - startedAt
  }
  expect(await timed(() => a('/1'))).toBeGreaterThan(990) // a round trip to connect, and one for the question
  expect(await timed(() => a('/2'))).toBeGreaterThan(490)
  expect(await timed(() => c('/3'))).toBeLessThan(490)
  expect(heard).toEqual(['a /1', 'a /2', 'c /3'])
  expect(area.carried('a', 'b')).toBeGreaterThan(100)
})

test('cut, its connections end and new ones do too, until it heals', async () => {
  const [a, c] = [caller('a'), caller('c')]
  await a('/1')
  area.change('b', 'a', { passage: 'cut' })
  await expect(a('/2')).rejects.toThrow()
  await expect(a('/3')).rejects.toThrow()
  await c('/4')
  area.heal()
  await a('/5')
  expect(heard).toEqual(['a /1', 'c /4', 'a /5'])
})

test('silent one way, a question does not arrive; the other way, it does and its answer does not', async () => {
  const a = caller('a')
  await a('/1')
  area.change('a', 'b', { passage: 'silent' })
  await expect(a('/2', { signal: AbortSignal.timeout(50) })).rejects.toThrow()
  area.heal()
  area.change('b', 'a', { passage: 'silent' })
  await expect(a('/3', { headersTimeout: 0, signal: AbortSignal.timeout(200) })).rejects.toThrow()
  expect(heard).toEqual(['a /1', 'a /3'])
})

test('connections stand while bytes are swallowed, and those that have lost some end when it heals', async () => {
  const a = caller('a')
  await a('/1')
  area.change('a', 'b', { passage: 'silent' })
  let ended = ''
  const lost = a('/2').catch((error: Error) => {
    ended = error.message
  })
  const c = caller('c')
  await c('/3')
  expect(ended).toBe('')
  area.heal()
  await lost
  expect(ended).not.toBe('')
  await a('/4')
  expect(heard).toEqual(['a /1', 'c /3', 'a /4'])
})

test('throttled, bytes take as long as they should, and all of them arrive', async () => {
  const a = caller('a')
  await a('/1')
  area.change('b', 'a', { bytesPerSecond: 4_000_000 })
  const startedAt = performance.now()
  expect(await a('/2', { headers: { 'x-bytes': '2000000' } })).toBe(2_000_000)
  expect(performance.now() - startedAt).toBeGreaterThan(490)
})

test('one who does not say who he is has an address of his own', async () => {
  area.change('buyers', 'b', { delayMs: 50 })
  const startedAt = performance.now()
  await (await fetch(await area.openFor('buyers', 'b'))).text()
  expect(performance.now() - startedAt).toBeGreaterThan(98)
})

test('regions are as far from each other as real ones, also when nothing says how far', () => {
  const far = readLatencies(undefined)
  expect([far('eu1', 'us1'), far('us1', 'ap2'), far('eu1', 'eu2'), far('eu1', 'mars1')]).toEqual([84, 157, 2, 100])
})
