// GET /v1/pulse: how this cell does now, as one value or as one a second. Nobody's database is waited for: what has to be read there is
// as old as it was last found, so that a cell in trouble still says so.
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import type { CellName, ShopId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { refused } from '../base/result.ts'
import { Currency, nullable, oneOf, ref, Time } from '../base/schemas.ts'
import { type Instant, toRfc3339 } from '../base/time.ts'
import { cellNamed, regionOf, type Topology } from '../base/topology.ts'
import type { MoneyAudit, ShopMoney } from '../modules/ledger/audit.ts'
import type { Guard } from '../modules/shops/types.ts'
import type { AuditResult, ShopUnits } from '../modules/stock/audit.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Profile } from '../runtime/config.ts'
import { sendJson, sendRefused } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { PulseMeter } from '../runtime/pulse.ts'
import { release } from '../runtime/release.ts'
import type { CellsHeard } from './cells.ts'
import { endOf, type OpenStreams, wantsStream } from './events.ts'
import { noUnits, SumsAnswer } from './health.ts'
import type { PulseFacts } from './pulse-facts.ts'

const Count = (description?: string) => Type.Integer({ minimum: 0, ...(description ? { description } : {}) })
const Rate = (description: string) => Type.Number({ minimum: 0, description })
const Ms = nullable<number>({ type: 'number' })

const PulseAudit = Type.Object({
  consistent: Type.Boolean(),
  checked_at: Time,
  sums: SumsAnswer,
  differences: Count('Of units and of money, as `GET /v1/audit` tells them.'),
  oversold: Count(
    'Units reserved and committed beyond what is on hand and its allowance, over all SKUs. No sale makes any; a count that finds less than was sold does, and `stock.short` names its orders.',
  ),
  lost: Count(
    'Units by which on hand, reserved, committed or shipped is less than the log says, and sums of money that are less than the log, the orders or a provider’s record say.',
  ),
  doubled: Count(
    'Units by which one of these is more than the log says, and sums of money that are more: a charge at a provider that no payment knows, an event that was booked twice.',
  ),
})
const Pulse = Type.Object({
  cell: Type.String(),
  region: Type.String(),
  at: Time,
  version: Type.String(),
  profile: oneOf(['development', 'production'] as const satisfies Profile[]),
  uptime_s: Count(),
  state: oneOf(['active', 'draining']),
  frozen: Type.Boolean({ description: 'It may have gone back, and sells nothing until it is reconciled.' }),
  gate: oneOf(['none', 'open', 'shut'], {
    description: '`shut`: a `geo` cell whose standby is out of reach. `none`: a `local` cell.',
  }),
  cut_off: Type.Boolean({ description: 'On purpose, by `/v1/chaos/network`.' }),
  orders_per_s: Rate(`Placed here, in bulk too. Rates are means of the last ${limits.pulseRateSeconds} whole seconds.`),
  refused_per_s: Rate('`POST /v1/orders` that were answered here with 4xx or 503.'),
  errors_per_s: Rate('Answers with 5xx other than 503.'),
  requests_per_s: Rate('All answers, those to other cells too.'),
  latency_ms: Type.Object(
    { p50: Ms, p99: Ms },
    {
      description: `Of \`POST /v1/orders\` in the last ${limits.pulseLatencySeconds} s, without those that asked to wait; at most 9 % too high. Null when there was none.`,
    },
  ),
  money_per_minute: Type.Array(Type.Object({ amount: Type.Integer(), currency: Currency }), {
    description: `Captured for the caller’s shop in the last ${limits.pulseMoneySeconds} s, through providers, in minor units.`,
  }),
  queue: Type.Object({ rows: Count(), rows_max: Count() }),
  lags: Type.Array(Type.Object({ consumer: Type.String(), events: Count(), seconds: Count() }), {
    description: 'As `GET /v1/consumers` knows them, some seconds old; empty until they were read.',
  }),
  peers: Type.Array(
    Type.Object({
      cell: Type.String(),
      reachable: Type.Boolean(),
      round_trip_ms: Ms,
      units_per_s_sent: Rate('Units whose right to be sold went there.'),
      requests_per_s_sent: Rate('Requests of callers that were sent on to it.'),
      oldest_unconfirmed_s: nullable<number>({
        type: 'integer',
        description:
          'For how long, as far as was looked, it has not confirmed all units that were sent to it; null when it has.',
      }),
    }),
  ),
  event_loop_p99_ms: Type.Number({ description: 'By how much the process was late for its timers lately.' }),
  memory_bytes: Count(),
  dead_letters: Count(`Of the caller’s shop; ${limits.listLimitMax} stand for more.`),
  audit: nullable<Static<typeof PulseAudit>>(PulseAudit),
})
/** Named in OpenAPI. */
export const components = { Pulse }

export type PulseSource = {
  meter: PulseMeter
  isFrozen(): boolean
  isGateShut(): boolean
  isCutOff(): boolean
  queuedRows(): number
  process(): { uptimeS: number; eventLoopP99Ms: number; memoryBytes: number }
  /** The last that were made. */
  audits(): { units: AuditResult; money: MoneyAudit } | null
  /** What was last read for a shop; older than `pulseFactsMs`, it is read again meanwhile. */
  facts(shopId: ShopId): Promise<PulseFacts>
}

export type PulseRoutesOptions = {
  cell: CellName
  profile: Profile
  guard: Guard
  pulse: PulseSource
  topology: { current(): Topology }
  peers: CellsHeard
  clock: Pick<Clock, 'now' | 'sleep'>
  streams: OpenStreams
}

export function pulseRoutes(app: FastifyInstance, options: PulseRoutesOptions): void {
  const { guard, streams, clock } = options
  app.get(
    '/v1/pulse',
    {
      onRequest: guard.allow('cells:read'),
      schema: documented({
        operationId: 'getPulse',
        summary: 'How the answering cell does now',
        description:
          'One value; or, with `Accept: text/event-stream`, one a second, each the `data` of an event. Answered by a cell that is full too. A process of a cell tells what passes through it.',
        tags: ['control room'],
        answers: { 200: ref('Pulse') },
        alsoProduces: 'text/event-stream',
      }),
    },
    async (request, reply) => {
      const { shopId } = request.principal
      const next = () => pulseJson(options, shopId)
      if (!wantsStream(request)) return sendJson(reply, 200, await next())
      if (streams.open >= limits.streamsMax) return sendRefused(reply.header('retry-after', '1'), refused('overloaded'))
      streams.open++
      try {
        return await stream(reply, options.cell, next, clock)
      } finally {
        streams.open--
      }
    },
  )
}

async function stream(
  reply: FastifyReply,
  cell: CellName,
  next: () => Promise<string>,
  clock: Pick<Clock, 'sleep'>,
): Promise<undefined> {
  const signal = endOf(reply)
  reply.hijack()
  reply.raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-request-id': reply.request.id,
    'holdfast-cell': cell,
  })
  await beat(reply.raw, next, { signal, sleep: clock.sleep }).catch((error) =>
    reply.server.refusalOfLate(error, reply.request),
  )
  reply.raw.end()
  return undefined
}

type Beating = { signal: AbortSignal; sleep: Clock['sleep'] }

/** Until the signal aborts, or nobody reads: a pulse is of now, so none is kept for later, and none is skipped for long. */
export async function beat(
  response: Pick<ServerResponse, 'write' | 'writableLength' | 'destroy'>,
  next: () => Promise<string>,
  { signal, sleep }: Beating,
): Promise<void> {
  while (!signal.aborted) {
    const json = await next()
    if (signal.aborted) return
    response.write(`data: ${json}\n\n`)
    if (response.writableLength > limits.pulseUnreadBytesMax) return void response.destroy()
    await sleep(limits.pulseEveryMs, signal)
  }
}

async function pulseJson(options: PulseRoutesOptions, shopId: ShopId): Promise<string> {
  const { cell, profile, pulse, topology, clock } = options
  const facts = await pulse.facts(shopId)
  const current = topology.current()
  const self = cellNamed(current, cell)
  const now = clock.now()
  const { uptimeS, eventLoopP99Ms, memoryBytes } = pulse.process()
  const rates = pulse.meter.read()
  const told: Static<typeof Pulse> = {
    cell,
    region: regionOf(cell),
    at: toRfc3339(now),
    version: release,
    profile,
    uptime_s: uptimeS,
    state: self?.state === 'active' ? 'active' : 'draining',
    frozen: pulse.isFrozen(),
    gate: self?.durability !== 'geo' ? 'none' : pulse.isGateShut() ? 'shut' : 'open',
    cut_off: pulse.isCutOff(),
    orders_per_s: rates.ordersPerS,
    refused_per_s: rates.refusedPerS,
    errors_per_s: rates.errorsPerS,
    requests_per_s: rates.requestsPerS,
    latency_ms: { p50: rates.p50Ms, p99: rates.p99Ms },
    money_per_minute: pulse.meter.capturedLately(shopId),
    queue: { rows: pulse.queuedRows(), rows_max: limits.queueRowsMax },
    lags: facts.lags,
    peers: peersIn(options, current, { now, facts, rates }),
    event_loop_p99_ms: eventLoopP99Ms,
    memory_bytes: memoryBytes,
    dead_letters: facts.deadLetters,
    audit: auditOf(pulse.audits(), shopId),
  }
  return JSON.stringify(told)
}

type Known = { now: Instant; facts: PulseFacts; rates: ReturnType<PulseMeter['read']> }

function peersIn({ cell, peers }: PulseRoutesOptions, { cells }: Topology, { now, facts, rates }: Known) {
  const others = cells.filter(({ name, state }) => name !== cell && state !== 'removed')
  return others.map(({ name }) => {
    const { unitsPerS, requestsPerS } = rates.sentTo(name)
    const since = facts.unconfirmedSince.get(name)
    return {
      cell: name,
      reachable: peers.isUp(name),
      round_trip_ms: peers.rttMs(name) || null,
      units_per_s_sent: unitsPerS,
      requests_per_s_sent: requestsPerS,
      oldest_unconfirmed_s: since === undefined ? null : Math.max(0, Math.round((now - since) / 1000)),
    }
  })
}

function auditOf(audits: ReturnType<PulseSource['audits']>, shopId: ShopId): Static<typeof PulseAudit> | null {
  if (!audits) return null
  const units = audits.units.shops.get(shopId) ?? { sums: noUnits, differences: [], oversold: 0 }
  const money = audits.money.shops.get(shopId) ?? { sums: [], differences: [] }
  const differences = units.differences.length + money.differences.length
  const older = Math.min(audits.units.checkedAt, audits.money.checkedAt) as Instant
  return {
    consistent: differences === 0,
    checked_at: toRfc3339(older),
    sums: units.sums,
    differences,
    ...faultsIn(units, money),
  }
}

const counters = new Set(['on_hand', 'reserved', 'committed', 'shipped'])

export function faultsIn(units: Pick<ShopUnits, 'differences' | 'oversold'>, money: Pick<ShopMoney, 'differences'>) {
  let [lost, doubled] = [0, 0]
  for (const { counter, expected, actual } of units.differences) {
    if (!counters.has(counter)) continue
    lost += Math.max(0, expected - (actual ?? 0))
    doubled += Math.max(0, (actual ?? 0) - expected)
  }
  for (const { check, expected, actual } of money.differences) {
    if (check === 'unsettled') continue
    // `expected` is what the provider has in the one case, and what we should have booked in the others.
    const hasMore = check === 'providers' ? (expected ?? 0) > (actual ?? 0) : (actual ?? 0) > (expected ?? 0)
    if (hasMore) doubled++
    else lost++
  }
  return { oversold: units.oversold, lost, doubled }
}
