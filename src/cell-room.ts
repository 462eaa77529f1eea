// What a cell has for its operators' control room: its pages, its pulse, and in the development profile what breaks it on purpose.
import { fileURLToPath } from 'node:url'
import type { Others } from './cell-others.ts'
import { type CellPulseOptions, startCellPulse } from './cell-pulse.ts'
import type { AppOptions } from './gateway/app.ts'
import type { Supervisor } from './gateway/chaos.ts'
import { developmentKeys } from './modules/shops/service.ts'
import type { Config } from './runtime/config.ts'
import type { Faults } from './runtime/faults.ts'
import type { Gate } from './runtime/gate.ts'
import type { Standing } from './runtime/standing.ts'

export type RoomOptions = Pick<
  CellPulseOptions,
  'meter' | 'database' | 'clock' | 'deadLetters' | 'audits' | 'onError'
> & {
  config: Pick<Config, 'profile'> & Partial<Pick<Config, 'corsOrigins' | 'traceLink'>>
  /** Where it was built, if not where npm run build:web puts it. */
  webFolder: string | undefined
  faults: Faults
  /** Who runs this cell, if somebody does. */
  supervisor: Supervisor | undefined
  standing: Pick<Standing, 'frozen'>
  gate: Pick<Gate, 'isShut'>
  batcher: { load(): { queuedRows: number } }
  others: Pick<Others, 'unconfirmedSince'> | undefined
}

export type Room = {
  forApp: Pick<AppOptions, 'profile' | 'developmentKey' | 'traceLink' | 'corsOrigins' | 'webFolder' | 'pulse' | 'chaos'>
  stop(): Promise<void>
}

const builtWebFolder = fileURLToPath(new URL('../web/dist', import.meta.url))

export function openRoom(options: RoomOptions): Room {
  const { standing, gate, batcher, others, webFolder = builtWebFolder } = options
  const { profile, corsOrigins, traceLink = null } = options.config
  const { pulse, stop } = startCellPulse({
    ...options,
    isFrozen: () => standing.frozen !== undefined,
    isGateShut: () => gate.isShut,
    isCutOff: () => options.faults.cutOff,
    queuedRows: () => batcher.load().queuedRows,
    unconfirmedSince: others?.unconfirmedSince,
  })
  const isDevelopment = profile === 'development'
  const developmentKey = isDevelopment ? developmentKeys.secret : null
  const chaos = isDevelopment ? { faults: options.faults, supervisor: options.supervisor ?? null } : null
  return { forApp: { profile, developmentKey, traceLink, corsOrigins, webFolder, pulse, chaos }, stop }
}
