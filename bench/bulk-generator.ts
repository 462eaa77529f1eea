// Streams of orders to the bulk endpoint, as fast as it takes them: NDJSON in, and every answer line has to be a 201.
import { request } from 'node:http'
import { makeStencil, skusSpread, stamp } from './shapes.ts'

export type BulkPlan = { url: string; streams: number; seconds: number }
export type BulkReport = { accepted: number; refused: number; seconds: number; firstRefusal: string | null }

const linesPerWrite = 64
const acceptedStart = '{"status":201,'

const plan = JSON.parse(process.argv[2]!) as BulkPlan
const line = makeStencil((key, body) => `{"idempotency_key":"${key}",${body.slice(1)}\n`)
const endsAt = performance.now() + plan.seconds * 1000
let accepted = 0
let refused = 0
let firstRefusal: string | null = null

/** Counts answers by the starts of their lines; the start of the last one may still be incomplete. */
function counter(): (chunk: Buffer) => void {
  let tail = ''
  return (chunk) => {
    const text = tail + chunk.toString('latin1')
    let from = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      if (text.startsWith(acceptedStart, from)) accepted++
      else {
        refused++
        firstRefusal ??= text.slice(from, end)
      }
      from = end + 1
    }
    tail = text.slice(from)
  }
}

function stream(): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: 'Bearer sk_dev', 'content-type': 'application/x-ndjson' }
    const upload = request(`${plan.url}/v1/orders/bulk`, { method: 'POST', headers, agent: false })
    upload.on('error', reject)
    upload.on('response', (response) => {
      if (response.statusCode !== 200) reject(new Error(`the bulk endpoint answered ${response.statusCode}`))
      response.on('data', counter())
      response.on('end', resolve)
      response.on('error', reject)
    })
    const write = (): void => {
      while (performance.now() < endsAt) {
        if (!upload.write(stamp(line, linesPerWrite, skusSpread))) return void upload.once('drain', write)
      }
      upload.end()
    }
    write()
  })
}

const startedAt = performance.now()
await Promise.all(Array.from({ length: plan.streams }, stream))
const seconds = (performance.now() - startedAt) / 1000
process.stdout.write(`${JSON.stringify({ accepted, refused, seconds, firstRefusal } satisfies BulkReport)}\n`)
process.disconnect?.()
