// GET /v1/events?cell=* as a stream: what happens in any cell, once a cell is back also what happened while it was away.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type HttpCell, orderBody, receive } from '../support/http-cell.ts'
import { type HttpCells, openHttpCells } from '../support/http-cells.ts'

let all: HttpCells
let [eu1, us1] = [] as unknown as [HttpCell, HttpCell]

beforeAll(async () => {
  all = await openHttpCells(['eu1', 'us1'])
  ;[eu1, us1] = [all.cells.eu1!, all.cells.us1!]
  for (const cell of [eu1, us1]) await receive(cell, 'A-1', 1_000)
})
afterAll(async () => {
  expect([...eu1.faults, ...us1.faults]).toEqual([])
  await all.stop()
})

let orders = 0
const place = async (cell: HttpCell): Promise<string> =>
  (await cell.call('POST', '/v1/orders', { body: orderBody('A-1'), key: `order-${++orders}` })).json.id

/** Collects what comes until it is closed. */
async function open(after = '') {
  const leaving = new AbortController()
  const answer = await fetch(`${eu1.url}/v1/events?cell=*&types=order.placed`, {
    headers: { authorization: 'Bearer sk_dev', accept: 'text/event-stream', 'last-event-id': after },
    signal: leaving.signal,
  })
  const seen = { subjects: [] as string[], missing: [] as string[], id: '' }
  const reading = (async () => {
    let rest = ''
    for await (const chunk of answer.body!) {
      rest += new TextDecoder().decode(chunk)
      const parts = rest.split('\n\n')
      rest = parts.pop()!
      for (const part of parts) {
        seen.id = /^id: (\S+)$/m.exec(part)?.[1] ?? seen.id
        const data = /^data: (.+)$/m.exec(part)?.[1]
        if (data && part.startsWith('event: missing_cells')) seen.missing.push(data)
        else if (data) seen.subjects.push(JSON.parse(data).subject)
      }
    }
  })().catch(() => {})
  return {
    answer,
    seen,
    async close() {
      leaving.abort()
      await reading
      return seen
    },
  }
}

it('brings what happens in every cell, names those out of reach, and resumes with nothing left out', async () => {
  const before = [await place(eu1), await place(us1)]
  const stream = await open()
  expect(stream.answer.headers.get('content-type')).toBe('text/event-stream')
  await eventually(() => before.every((id) => stream.seen.subjects.includes(id)), 10_000)
  const during = [await place(us1), await place(eu1)]
  await eventually(() => during.every((id) => stream.seen.subjects.includes(id)), 10_000)

  all.down.add('us1')
  await eventually(() => stream.seen.missing.at(-1) === '["us1"]', 10_000)
  const away = await place(us1)
  const here = await place(eu1)
  await eventually(() => stream.seen.subjects.includes(here), 10_000)
  expect(stream.seen.subjects).not.toContain(away)
  const { id, subjects } = await stream.close()
  expect(new Set(subjects).size).toBe(subjects.length)

  const resumed = await open(id)
  await eventually(() => resumed.seen.missing.at(-1) === '["us1"]', 10_000)
  all.down.delete('us1')
  await eventually(() => resumed.seen.missing.at(-1) === '[]' && resumed.seen.subjects.includes(away), 10_000)
  expect((await resumed.close()).subjects.filter((subject) => before.includes(subject))).toEqual([])
})

it('is refused before it begins from a place that is none', async () => {
  const { answer, close } = await open('v1.eu1.nonsense')
  expect(answer.status).toBe(400)
  await close()
})
