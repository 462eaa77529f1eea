// What a cell's pulse is made of: counted where it happens, or asked of the parts that know it.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { CellName, ShopId } from './base/ids.ts'
import { limits } from './base/limits.ts'
import type { Instant } from './base/time.ts'
import type { PulseSource } from './gateway/pulse.ts'
import { createPulseFacts } from './gateway/pulse-facts.ts'
import type { DeadLetters } from './modules/deadletters/service.ts'
import type { MoneyAudit } from './modules/ledger/audit.ts'
import type { EngineOptions } from './modules/orders/engine.ts'
import type { AuditResult } from './modules/stock/audit.ts'
import type { Clock } from './runtime/clock.ts'
import { listConsumers } from './runtime/consumers-admin.ts'
import { every } from './runtime/every.ts'
import type { Database } from './runtime/pg.ts'
import type { PulseMeter } from './runtime/pulse.ts'

export type CellPulseOptions = {
  meter: PulseMeter
  database: Pick<Database, 'query'>
  clock: Clock
  deadLetters: Pick<DeadLetters, 'list'>
  audits: { units: { last(): AuditResult | undefined }; money: { last(): MoneyAudit | undefined } }
  isFrozen(): boolean
  isGateShut(): boolean
  isCutOff(): boolean
  queuedRows(): number
  /** None for a cell that is alone. */
  unconfirmedSince: (() => Promise<ReadonlyMap<CellName, Instant>>) | undefined
  onError(error: unknown): void
}

export function startCellPulse(options: CellPulseOptions): { pulse: PulseSource; stop(): Promise<void> } {
  const { database, clock, deadLetters, audits, unconfirmedSince = async () => new Map() } = options
  const watching = watchProcess(options.onError)
  const pulse: PulseSource = {
    ...options,
    process: watching.read,
    audits() {
      const [units, money] = [audits.units.last(), audits.money.last()]
      return units && money ? { units, money } : null
    },
    facts: createPulseFacts({
      consumers: () => listConsumers(database),
      async countDeadLetters(shopId: ShopId) {
        const found = await deadLetters.list(shopId, { kind: null, cursor: null, limit: limits.listLimitMax })
        return found.ok ? found.value.data.length : 0
      },
      unconfirmedSince,
      clock,
      onError: options.onError,
    }),
  }
  return { pulse, stop: watching.stop }
}

/** How the process does. How late it is for its timers is told of the last window that has ended. */
function watchProcess(onError: (error: unknown) => void) {
  const delay = monitorEventLoopDelay({ resolution: limits.pulseLoopMs })
  delay.enable()
  let lateP99Ms = 0
  const windows = every(
    limits.pulseLoopWindowMs,
    async () => {
      // What it measures is the time from one timer to the next.
      lateP99Ms = Math.max(0, Math.round(delay.percentile(99) / 1e4) / 100 - limits.pulseLoopMs)
      delay.reset()
    },
    onError,
  )
  return {
    read: () => ({
      uptimeS: Math.floor(process.uptime()),
      eventLoopP99Ms: lateP99Ms,
      memoryBytes: process.memoryUsage.rss(),
    }),
    async stop() {
      delay.disable()
      await windows.stop()
    },
  }
}

/** Counts what a batch has appended to the log. */
export const countEvents =
  (meter: PulseMeter): NonNullable<EngineOptions['onEvents']> =>
  (events) => {
    for (const { type, shopId, data } of events) {
      if (type === 'order.placed') meter.placed()
      else if (type === 'payment.captured') meter.captured(shopId, data as { amount: number; currency: string })
      else if (type === 'stock.transferred')
        for (const { cell, units } of (data.sent ?? []) as { cell: CellName; units: number }[])
          meter.sentUnits(cell, units)
    }
  }
