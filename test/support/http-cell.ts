// A whole cell on a database of its own, listening on a free port of this process: for tests of what HTTP answers.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { CellName } from '../../src/base/ids.ts'
import { buildCell, type CellDeps } from '../../src/cell.ts'
import type { Routing } from '../../src/gateway/forwarding.ts'
import type { Config } from '../../src/runtime/config.ts'
import type { DatabaseUrl } from '../../src/runtime/database-url.ts'
import { migrate, readMigrations } from '../../src/runtime/migrate.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { migrationSources } from '../../src/units.ts'
import { createDatabase } from './postgres.ts'

export type HttpCell = {
  url: string
  port: number
  app: FastifyInstance
  database: Database
  /** What was logged as a fault of ours, or of the database. */
  faults: Record<string, unknown>[]
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  stop(): Promise<void>
}
export type CallOptions = {
  /** Sent as JSON; a string as it is. */
  body?: unknown
  headers?: Record<string, string>
  /** An idempotency key, `sk_dev` and a random one unless said; null: none. */
  key?: string | null
  as?: string | null
}
// biome-ignore lint/suspicious/noExplicitAny: tests read what was answered and fail when it is not there
export type Answer = { status: number; headers: Headers; text: string; json: any }

export type HttpCellOptions = Partial<Pick<CellDeps, 'key' | 'atStart' | 'isFirst' | 'webFolder' | 'log'>> & {
  url?: DatabaseUrl
  name?: string
  routing?: Routing
  port?: number
}

export async function openHttpCell(
  config: Partial<
    Pick<Config, 'stripe' | 'durability' | 'profile' | 'corsOrigins' | 'otlpEndpoint' | 'traceRatio' | 'traceLink'>
  > = {},
  { url, name = 'eu1', routing, isFirst = true, port: wanted = 0, ...more }: HttpCellOptions = {},
): Promise<HttpCell> {
  const database = openDatabase({
    url: url ?? (await createDatabase()),
    applicationName: 'test',
    synchronousCommit: 'local',
  })
  await migrate(database, await readMigrations(migrationSources))
  const faults: Record<string, unknown>[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void faults.push(JSON.parse(line)) })
  const parts = await buildCell({
    cell: name as CellName,
    database,
    config: { lanes: 2, profile: 'development', ...config },
    log,
    routing,
    isFirst,
    ...more,
  })
  await parts.app.listen({ host: '127.0.0.1', port: wanted })
  const { port } = parts.app.server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  return {
    url: origin,
    port,
    app: parts.app,
    database,
    faults,
    call: (method, path, options) => call(`${origin}${path}`, method, options),
    async stop() {
      await parts.stop()
      await database.close()
    },
  }
}

export const visitor = 'visitor-of-the-tests'

async function call(url: string, method: string, options: CallOptions = {}): Promise<Answer> {
  const { body, key = crypto.randomUUID(), as = 'sk_dev' } = options
  const headers: Record<string, string> = {}
  if (as !== null) headers.authorization = `Bearer ${as}`
  if (as?.startsWith('pk_')) headers['holdfast-visitor'] = visitor
  if (key !== null && method === 'POST') headers['idempotency-key'] = key
  if (body !== undefined) headers['content-type'] = 'application/json'
  const answer = await fetch(url, {
    method,
    headers: { ...headers, ...options.headers },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await answer.text()
  const isJson =
    /json/.test(answer.headers.get('content-type') ?? '') && !/ndjson/.test(answer.headers.get('content-type') ?? '')
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    json: isJson && text !== '' ? JSON.parse(text) : undefined,
  }
}

/** The shortest order that is accepted once its SKU has stock. */
export const orderBody = (sku: string, quantity = 1, more: object = {}) => ({
  currency: 'EUR',
  lines: [{ sku, quantity, unit_price: { amount: 500, currency: 'EUR' } }],
  ...more,
})

export const receive = (cell: HttpCell, sku: string, delta: number, location?: string): Promise<Answer> =>
  cell.call('POST', '/v1/stock/adjustments', { body: { adjustments: [{ sku, delta, reason: 'received', location }] } })
