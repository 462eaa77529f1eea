// A real server for a whole test file, asked in two ways: through the SDK, and by bare requests for what the SDK never sends.
import { afterAll, beforeAll } from 'vitest'
import { type Client, createClient } from '../../sdk/src/client.ts'
import { HoldfastError, type Problem } from '../../sdk/src/problem.ts'
import { makeDataFolder, type Running, startHoldfast } from './holdfast.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers are compared, not computed with
export type Reply<Body = any> = { status: number; headers: Headers; text: string; body: Body }

export type AskOptions = {
  /** Null sends none. */
  key?: string | null
  /** Of a POST: a new one unless given; null sends none. */
  idempotencyKey?: string | null
  headers?: Record<string, string>
  /** Sent as it is when it is text, else as JSON. */
  body?: unknown
}

export type Server = {
  url: string
  data: string
  run: Running
  /** With sk_dev, which may do everything. */
  sk: Client
  /** One bare request, `POST /v1/orders`. */
  ask(target: string, options?: AskOptions): Promise<Reply>
}

/** Started before the file's tests and gone after them, with its data. Its members are there once a test runs. */
export function useServer(args: string[] = []): Server {
  const server = {} as Server
  let remove = async () => {}
  beforeAll(async () => {
    const folder = await makeDataFolder()
    remove = folder.remove
    const run = await startHoldfast([`--data=${folder.data}`, '--log-level=fatal', ...args])
    const sk = createClient({ url: run.url, key: 'sk_dev' })
    Object.assign(server, { url: run.url, data: folder.data, run, sk, ask: asker(run.url) })
  })
  afterAll(async () => {
    server.run?.interrupt()
    await server.run?.ended
    await remove()
  })
  return server
}

export const asker =
  (url: string) =>
  async (target: string, { key = 'sk_dev', idempotencyKey, headers = {}, body }: AskOptions = {}): Promise<Reply> => {
    const [method, path] = target.split(' ') as [string, string]
    const all: Record<string, string> = { ...headers }
    if (key !== null) all.authorization ??= `Bearer ${key}`
    if (body !== undefined) all['content-type'] ??= 'application/json'
    if (method === 'POST' && idempotencyKey !== null) all['idempotency-key'] ??= idempotencyKey ?? newKey()
    const answer = await fetch(url + path, {
      method,
      headers: all,
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    })
    const text = await answer.text()
    const isJson =
      /json/.test(answer.headers.get('content-type') ?? '') && !/ndjson/.test(answer.headers.get('content-type')!)
    return { status: answer.status, headers: answer.headers, text, body: isJson ? JSON.parse(text) : undefined }
  }

let made = 0
/** Names that no other test of the file uses. */
export const newSku = (): string => `sku-${++made}`
export const newKey = (): string => `key-${++made}-${process.pid}`

export const eur = (amount: number) => ({ amount, currency: 'EUR' })
export const lineOf = (sku: string, quantity = 1, amount = 500) => ({ sku, quantity, unit_price: eur(amount) })

/** An order that is paid elsewhere, and so confirmed at once. */
export const paidOrder = (...lines: ReturnType<typeof lineOf>[]) => ({
  currency: 'EUR',
  lines,
  payment: { provider: 'none' as const },
})

/** A new SKU with so many units. */
export async function stocked(client: Client, units: number, sku = newSku()): Promise<string> {
  await client.stock.adjust([{ sku, delta: units, reason: 'received' }])
  return sku
}

/** The problem that a call was refused with; it is a fault when it was not. */
export async function problemOf(call: Promise<unknown>): Promise<Problem> {
  try {
    await call
  } catch (error) {
    if (error instanceof HoldfastError) return error.problem
    throw error
  }
  throw new Error('it was not refused')
}
