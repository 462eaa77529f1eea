// When a provider is left alone: while its calls fail, and not while it says honestly that it needs more time.
import { expect, test } from 'vitest'
import { limits } from '../../../src/base/limits.ts'
import { createCalls } from '../../../src/modules/payments/calls.ts'
import type { TrackedOperation } from '../../../src/modules/payments/decide.ts'
import { OutcomeUnknown, type Provider } from '../../../src/modules/payments/types.ts'
import { authorize } from './stripe-given.ts'

const enough = 2 * limits.breakerCallsPerSecondMin * (limits.breakerWindowMs / 1000)

const operation: TrackedOperation = { ...authorize(), state: 'unknown', tries: 1, nextAt: authorize().askedAt }

/** Whether it is left alone after enough of such answers. */
async function isLeftAlone(answer: Provider['perform'], step: 'send' | 'look_up'): Promise<boolean> {
  const provider: Provider = {
    name: 'bank',
    accepts: () => true,
    perform: answer,
    lookUp: answer,
    charges: async () => [],
  }
  const open: boolean[] = []
  const calls = createCalls(provider, () => 0, {
    call: () => {},
    underWay: () => {},
    breaker: (_, isOpen) => void open.push(isOpen),
  })
  for (let made = 0; made < enough; made++) await calls.call(operation, step, () => false)
  expect(calls.room() === 0).toBe(open.at(-1))
  return open.at(-1)!
}

test.each(['send', 'look_up'] as const)(
  'a provider whose answer to %s is that it is in progress goes on being called',
  async (step) => {
    expect(await isLeftAlone(async () => 'in_progress', step)).toBe(false)
  },
)

test.each(['send', 'look_up'] as const)(
  'a provider that gives no answer to %s is left alone for a while',
  async (step) => {
    const silent = async () => {
      throw new OutcomeUnknown('no answer')
    }
    expect(await isLeftAlone(silent, step)).toBe(true)
  },
)
