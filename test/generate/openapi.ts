// docs/generated/openapi.json: what the server answers at /openapi.json, from an app that is never asked anything else.

import type { CellName } from '../../src/base/ids.ts'
import { createApp } from '../../src/gateway/app.ts'
import { createDeadLetters } from '../../src/modules/deadletters/service.ts'
import { createWaiting } from '../../src/modules/orders/waiting.ts'
import type { TestProvider } from '../../src/modules/payments/test-provider.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { noFaults } from '../../src/runtime/faults.ts'
import { unaskedPulse } from '../support/unasked.ts'

const nobody = (): never => {
  throw new Error('only the description of this app is asked for')
}

const describedProvider: TestProvider = {
  name: 'test',
  accepts: nobody,
  perform: nobody,
  lookUp: nobody,
  charges: nobody,
  complete: nobody,
}

export async function openApiText(): Promise<string> {
  const app = await createApp({
    cell: 'eu1' as CellName,
    commands: {
      submit: nobody,
      isFull: () => false,
      isHalfFull: () => false,
      whenRoom: nobody,
      retryAfterSeconds: () => 1,
    },
    providers: new Map(),
    webhooks: { webhooks: { beginAt: nobody, poke: nobody }, urlRules: { publicOnly: true, ports: [] } },
    waiting: createWaiting(async () => undefined),
    testProvider: describedProvider,
    deadLetters: createDeadLetters({ query: nobody, transaction: nobody }, []),
    lives: nobody,
    consumersChanged: async () => {},
    cells: {
      topology: { current: nobody, change: nobody },
      peers: { isUp: nobody, rttMs: nobody, lastHeardAt: nobody, dataAsOf: nobody },
      whyNotEmptied: nobody,
      rules: {},
    },
    database: { query: nobody, transaction: nobody },
    keys: { known: nobody, find: nobody, forget: nobody },
    log: { error: nobody, warn: nobody, debug: nobody, isLevelEnabled: () => false },
    profile: 'development',
    chaos: { faults: noFaults(), supervisor: null },
    pulse: unaskedPulse(systemClock.elapsedMs),
    developmentKey: null,
    webFolder: '',
    traffic: { onAnswer: nobody, onRefused: nobody },
    clock: systemClock,
    requestPrefix: 'generate',
    unreadyReasons: () => [],
    metrics: { scrape: nobody },
    audit: nobody,
    events: { page: nobody, follow: nobody, position: nobody },
    objectives: { read: nobody, since: systemClock.now() },
  })
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`
  await app.close()
  return text
}
