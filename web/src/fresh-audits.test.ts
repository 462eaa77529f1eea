// When audits are asked for, and how often.
import { expect, test } from 'vitest'
import { createFreshAudits, everyMs, roundsMax } from './fresh-audits.ts'

type Seen = Parameters<ReturnType<typeof createFreshAudits>['look']>[0][number]

const cell = (orders: number, change: Partial<Seen['pulse'] & object> & { reach?: Seen['reach'] } = {}): Seen => {
  const { reach = 'live', ...rest } = change
  return { cell: { name: 'us1' }, reach, pulse: { cut_off: false, frozen: false, orders_per_s: orders, ...rest } }
}

function setUp() {
  let isSettled = false
  let now = 0
  const asked: number[] = []
  const audits = createFreshAudits({ ask: async () => void asked.push(now), isSettled: () => isSettled })
  return {
    audits,
    asked,
    settle: (is: boolean) => {
      isSettled = is
    },
    async see(seen: Seen, seconds = 1) {
      for (let second = 0; second < seconds; second++) {
        now += 1000
        audits.look([seen], now)
        await Promise.resolve() // what was asked is answered
        await Promise.resolve()
      }
    },
  }
}

test('a page that is opened asks for none', async () => {
  const { asked, see } = setUp()
  await see(cell(0, { reach: 'waiting' }))
  await see(cell(3), 30)
  expect(asked).toEqual([])
})

test.each([
  ['fell silent', { reach: 'silent' as const }],
  ['was cut off', { cut_off: true }],
  ['was frozen', { frozen: true }],
])('a cell that %s and comes back is audited anew', async (_, change) => {
  const { asked, see, settle } = setUp()
  settle(true)
  await see(cell(0))
  await see(cell(0, change), 3)
  expect(asked).toEqual([])
  await see(cell(0), 20)
  expect(asked).toEqual([5000])
})

test('so are all when a rush begins and when it ends, not for an order now and then', async () => {
  const { asked, see, settle } = setUp()
  settle(true)
  await see(cell(2), 3)
  await see(cell(0), 3)
  expect(asked).toEqual([])
  await see(cell(400), 9)
  await see(cell(0), 20)
  expect(asked).toEqual([7000, 16_000])
})

test('rounds go on while units are on their way, a few seconds apart and not for ever', async () => {
  const { audits, asked, see } = setUp()
  audits.wish()
  await see(cell(0), 60)
  expect(asked).toEqual(Array.from({ length: roundsMax }, (_, round) => 1000 + round * everyMs))
})

test('however often it is wished, a round is asked every few seconds, and never two at once', async () => {
  let answer = () => {}
  let asked = 0
  const audits = createFreshAudits({
    ask: () => {
      asked++
      return new Promise<void>((resolve) => {
        answer = resolve
      })
    },
    isSettled: () => true,
  })
  for (let second = 1; second <= 20; second++) {
    audits.wish()
    audits.look([cell(0)], second * 1000)
  }
  expect(asked).toBe(1)
  answer()
  await Promise.resolve()
  await Promise.resolve()
  for (let second = 21; second <= 23; second++) {
    audits.wish()
    audits.look([cell(0)], second * 1000)
  }
  expect(asked).toBe(2)
})
