// A pulse for apps of which nobody asks one.
import type { PulseSource } from '../../src/gateway/pulse.ts'
import { createPulseMeter } from '../../src/runtime/pulse.ts'

export const unaskedPulse = (elapsedMs: () => number): PulseSource => ({
  meter: createPulseMeter(elapsedMs),
  isFrozen: () => false,
  isGateShut: () => false,
  isCutOff: () => false,
  queuedRows: () => 0,
  process: () => ({ uptimeS: 0, eventLoopP99Ms: 0, memoryBytes: 0 }),
  audits: () => null,
  facts: async () => ({ lags: [], deadLetters: 0, unconfirmedSince: new Map() }),
})
