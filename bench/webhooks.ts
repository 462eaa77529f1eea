// Events delivered to one endpoint: so many are put into the log as fast as it takes them, and a receiver in a process of its
// own counts them. It refuses one in a thousand at first, so that some are retried, and in the end every one must have come.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { CommandFailure } from '../src/cli/failure.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import { startScript } from './load.ts'
import { readSettings } from './machine.ts'
import { round } from './rounds.ts'
import { type BenchServer, startServer } from './server.ts'
import type { ReceiverMessage, ReceiverPlan, ReceiverReport } from './webhook-receiver.ts'

const refusedEvery = 1_000
const adjustmentsPerRequest = 1_000
/** After the first pass: the first retry is due after 5 s, up to a tenth more by chance. */
const retriesSecondsMax = 60

export const webhooks: Bench = {
  diskMib: ({ events }) => 4_096 + Math.ceil(events / 200),
  secondsMax: ({ events }) => 300 + events / 100,
  async run(context) {
    const { events } = context.options
    const server = await startServer(context)
    const receiver = startScript(context, './webhook-receiver.ts', { events, refusedEvery } satisfies ReceiverPlan)
    const [listening] = (await once(receiver, 'message')) as [Extract<ReceiverMessage, { type: 'listening' }>]
    const endpoint = await post(server, '/v1/webhook-endpoints', { url: listening.url, types: ['stock.adjusted'] })
    receiver.send({ secret: endpoint.secret })
    const cpuBefore = await server.cpuSeconds()
    const [report] = await Promise.all([lastReport(context, receiver, events), makeEvents(server, events)])
    const cpuAfter = await server.cpuSeconds()
    if (report.badSignatures > 0) throw new CommandFailure('forged', `${report.badSignatures} signatures were wrong`)
    const pending = await countPending(server)
    const refused = Math.floor(events / refusedEvery)
    const seconds = (report.firstPassMs ?? Number.POSITIVE_INFINITY) / 1000
    const fields = {
      delivered_per_s: round((events - refused) / seconds),
      missing: events - report.delivered,
      deliveries_without_stable_id: report.withoutStableId,
      events,
      retried: refused,
      requests: report.requests,
      pending_in_the_end: pending,
      cpu_us_server: round(((cpuAfter.server - cpuBefore.server) * 1e6) / events, 1),
      cpu_us_postgres: round(((cpuAfter.postgres - cpuBefore.postgres) * 1e6) / events, 1),
    }
    return {
      fields,
      table: {
        columns: ['events', 'delivered/s', 'missing', 'without a stable id', 'CPU µs: server', 'PostgreSQL'].map(
          (head) => ({
            head,
            align: 'right' as const,
          }),
        ),
        rows: [
          [
            grouped(events),
            grouped(fields.delivered_per_s),
            String(fields.missing),
            String(fields.deliveries_without_stable_id),
            String(fields.cpu_us_server),
            String(fields.cpu_us_postgres),
          ],
        ],
      },
      generator: `bench/webhook-receiver.ts on Node ${process.version}, one process`,
      postgres: await readSettings(server.sql),
    }
  },
}

/** One event an adjustment, each of a SKU of its own. */
async function makeEvents(server: BenchServer, events: number): Promise<void> {
  for (let from = 0; from < events; from += adjustmentsPerRequest) {
    const count = Math.min(adjustmentsPerRequest, events - from)
    const adjustments = Array.from({ length: count }, (_, at) => ({
      sku: `W-${from + at}`,
      delta: 1,
      reason: 'received',
    }))
    await post(server, '/v1/stock/adjustments', { adjustments })
  }
}

async function post(server: BenchServer, path: string, body: object): Promise<{ secret: string }> {
  const answer = await fetch(server.url + path, {
    method: 'POST',
    headers: {
      authorization: 'Bearer sk_dev',
      'content-type': 'application/json',
      'idempotency-key': crypto.randomUUID(),
    },
    body: JSON.stringify(body),
  })
  const text = await answer.text()
  if (!answer.ok) throw new CommandFailure('unexpected_answer', `POST ${path} answered ${answer.status}: ${text}`)
  return JSON.parse(text)
}

/** What has come when all have, or when nothing new has for longer than the first retry takes. */
async function lastReport(context: BenchContext, receiver: ChildProcess, events: number): Promise<ReceiverReport> {
  let report: ReceiverReport | undefined
  let newsAt = performance.now()
  receiver.on('message', (message: ReceiverMessage) => {
    if (message.type !== 'received') return
    if (message.delivered !== report?.delivered) newsAt = performance.now()
    report = message
  })
  for (let told = 0; ; await pause(500)) {
    if (report && report.delivered >= events) return report
    if (performance.now() - newsAt > retriesSecondsMax * 1000)
      return report ?? Promise.reject(new CommandFailure('nothing_came', 'no webhook came'))
    if (report && report.delivered - told >= events / 5) {
      told = report.delivered
      context.say(`${grouped(report.delivered)} delivered`)
    }
  }
}

/** The last outcomes are stored after their requests. */
async function countPending({ sql }: BenchServer): Promise<number> {
  let count = -1
  for (let turn = 0; turn < 50 && count !== 0; turn++) {
    const [row] = await sql<{ count: string }[]>`
      select count(*) from webhooks.deliveries where state in ('ready', 'waiting')`
    count = Number(row!.count)
    await pause(100)
  }
  return count
}
