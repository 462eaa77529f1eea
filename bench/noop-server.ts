// The server without the engine: the same app, schemas, keys and answers, but every order is accepted at once and nothing is
// kept. What it does per second is what HTTP alone allows. Started by the benches.
import type { AddressInfo } from 'node:net'
import type { CellName, LocationCode, ShopId } from '../src/base/ids.ts'
import { accepted } from '../src/base/result.ts'
import { addMs } from '../src/base/time.ts'
import { createApp, drainApp } from '../src/gateway/app.ts'
import { countObjectives } from '../src/gateway/objectives.ts'
import { countTraffic } from '../src/gateway/traffic.ts'
import { createDeadLetters } from '../src/modules/deadletters/service.ts'
import type { CommandOutcome, Order, PlaceOrder, Submission } from '../src/modules/orders/types.ts'
import { createWaiting } from '../src/modules/orders/waiting.ts'
import { createKeys, developmentPrincipals } from '../src/modules/shops/service.ts'
import type { StockRowId } from '../src/modules/stock/types.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { openLog } from '../src/runtime/log.ts'
import { openMetrics } from '../src/runtime/metrics.ts'
import { unaskedPulse } from '../test/support/unasked.ts'

const cell = 'eu1' as CellName
const noCell = (): never => {
  throw new Error('the noop server knows no cells')
}
const noLog = (): Promise<never> => Promise.reject(new Error('the noop server has no log'))
const noDatabase = {
  query: () => Promise.reject(new Error('the noop server has no database')),
  transaction: () => Promise.reject(new Error('the noop server has no database')),
}

function placed(command: PlaceOrder): Order {
  const now = systemClock.now()
  return {
    shopId: command.shopId,
    id: command.orderId,
    currency: command.currency,
    total: command.lines.reduce((sum, line) => sum + line.amount, 0) as Order['total'],
    lines: command.lines.map((line, index) => ({
      ...line,
      allocations: [{ row: (index + 1) as StockRowId, location: 'main' as LocationCode, quantity: line.quantity }],
    })),
    customer: command.customer,
    reference: command.reference,
    provider: command.provider,
    holdId: command.holdId,
    placedAt: now,
    status: 'pending',
    version: 1,
    cancelReason: null,
    cancelled: null,
    expiresAt: addMs(now, 900_000),
    updatedAt: now,
    life: null,
    personal: command.personal,
    annotations: command.annotations,
  }
}

async function submit({ command }: Submission): Promise<CommandOutcome> {
  if (command.kind !== 'place_order') throw new Error(`the noop server places orders only, not ${command.kind}`)
  return accepted({ kind: 'order', order: placed(command) })
}

const metrics = openMetrics()
const pulse = unaskedPulse(systemClock.elapsedMs)
const objectives = countObjectives(metrics, systemClock.now())
const app = await createApp({
  cell,
  commands: {
    submit,
    isFull: () => false,
    isHalfFull: () => false,
    whenRoom: async () => {},
    retryAfterSeconds: () => 1,
  },
  deadLetters: createDeadLetters(noDatabase, []),
  lives: () => [],
  consumersChanged: async () => {},
  cells: {
    topology: { current: noCell, change: noCell },
    peers: { isUp: noCell, rttMs: noCell, lastHeardAt: noCell, dataAsOf: noCell },
    whyNotEmptied: noCell,
    rules: {},
  },
  database: noDatabase,
  providers: new Map(),
  webhooks: { webhooks: { beginAt: noLog, poke: noLog }, urlRules: { publicOnly: true, ports: [] } },
  waiting: createWaiting(async () => undefined),
  keys: createKeys(
    { query: async () => [] as never }, // the shop has set nothing
    systemClock.now,
    developmentPrincipals(async () => ({ id: 1 as ShopId, secret: Buffer.alloc(32, 7) })),
  ),
  log: openLog({ level: 'error', json: true, name: 'noop' }),
  traffic: countTraffic({ metrics, elapsedMs: systemClock.elapsedMs, meter: pulse.meter, objectives }),
  clock: systemClock,
  profile: 'development',
  pulse,
  chaos: null,
  developmentKey: null,
  webFolder: '',
  requestPrefix: 'noop',
  unreadyReasons: () => [],
  metrics,
  objectives,
  audit: () => Promise.reject(new Error('the noop server has no audit')),
  events: { page: noLog, follow: noLog, position: String },
})
await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address() as AddressInfo
process.stdout.write(`{"ready":true,"url":"http://127.0.0.1:${port}"}\n`)
process.once('SIGTERM', () => void drainApp(app))
