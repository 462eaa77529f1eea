// Promises of the event stream: nothing is skipped over broken connections, and it ends when told to.
import { afterEach, expect, test } from 'vitest'
import { createClient } from '../../sdk/src/client.ts'
import { type Answer, problem, type ScriptedServer, startScriptedServer } from './scripted-server.ts'

let server: ScriptedServer | undefined
afterEach(() => server?.stop())

async function start(answer: Answer) {
  server = await startScriptedServer(answer)
  return createClient({ url: server.url, key: 'sk_dev', backoff: { firstMs: 5, maxMs: 20 } })
}

const message = (n: number) => `id: p${n}\nevent: order.placed\ndata: {"n":${n}}\n\n`

async function read(client: Awaited<ReturnType<typeof start>>, count: number, after?: string) {
  const seen: string[] = []
  for await (const { position, event } of client.events.stream({ after, types: 'order.*' })) {
    seen.push(`${position}:${(event as unknown as { n: number }).n}`)
    if (seen.length === count) break
  }
  return seen
}

test('goes on after the last whole event when the connection breaks, a message is cut, or the server is away', async () => {
  const client = await start((_, response, nth) => {
    if (nth === 2) return problem(response, 503, 'draining')
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    if (nth === 0)
      return void response.write(`: hello\n\n${message(1)}${message(2)}id: p3\nda`, () => response.destroy())
    if (nth === 1) return void response.end(message(3))
    response.write(message(4).replaceAll('\n', '\r\n') + message(5))
  })
  expect(await read(client, 5)).toEqual(['p1:1', 'p2:2', 'p3:3', 'p4:4', 'p5:5'])
  expect(server!.asked.map((one) => one.headers['last-event-id'])).toEqual([undefined, 'p2', 'p3', 'p3'])
  expect(server!.asked[0]!.path).toBe('/v1/events?types=order.*')
})

test('resumes past what it was not asked for, when the server says how far that goes', async () => {
  const client = await start((_, response, nth) => {
    response.writeHead(200)
    if (nth === 0) response.end(`${message(1)}id: p7\n\n: \n\n`)
    else response.write(message(8))
  })
  expect(await read(client, 2)).toEqual(['p1:1', 'p8:8'])
  expect(server!.asked.map((one) => one.headers['last-event-id'])).toEqual([undefined, 'p7'])
})

test('begins where it is told to', async () => {
  const client = await start((_, response) => void response.writeHead(200).write(message(8)))
  expect(await read(client, 1, 'p7')).toEqual(['p8:8'])
  expect(server!.asked[0]!.headers['last-event-id']).toBe('p7')
})

test('throws when the position is no longer kept', async () => {
  const client = await start((_, response) => problem(response, 410, 'position_expired'))
  await expect(read(client, 1, 'p1')).rejects.toMatchObject({ code: 'position_expired' })
})

test('ends quietly when its signal is aborted', async () => {
  const client = await start((_, response) => void response.writeHead(200).write(message(1)))
  const stop = new AbortController()
  const seen: string[] = []
  for await (const { position } of client.events.stream({ signal: stop.signal })) {
    seen.push(position)
    stop.abort()
  }
  expect(seen).toEqual(['p1'])
})
