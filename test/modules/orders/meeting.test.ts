// Orders of one key in several cells, by property: their homes hear of each other in any order, by messages that are lost, doubled
// and late, while buyers pay and authorizations run out. In the end one order stands, and it is a paid one if any was.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CellName, toWireId, type Uuid } from '../../../src/base/ids.ts'
import type { BatchState } from '../../../src/modules/orders/batch-state.ts'
import { decideBatch } from '../../../src/modules/orders/decide.ts'
import { type MeetingOptions, meetOrders, settlePair } from '../../../src/modules/orders/meeting.ts'
import { lifeOf, standingOf, wasPaid } from '../../../src/modules/orders/money.ts'
import type { Command, Order, Settlement } from '../../../src/modules/orders/types.ts'
import type { LogEvent } from '../../../src/runtime/event-log.ts'
import { carryOn, freshState, orderOf, submit } from './decide-given.ts'
import { partId, shopId } from './life-given.ts'

const key = { hash: 'a'.repeat(32), request: 'b'.repeat(32) }
const names = ['eu1', 'us1', 'ap1'] as CellName[]

class Lost extends Error {
  override readonly name = 'Lost'
}

type Home = { name: CellName; id: Uuid; state: BatchState; wasPaidWhenGone: boolean }
type Fault = 'none' | 'question lost' | 'answer lost' | 'doubled'
type Deed = 'authorize' | 'capture' | 'decline' | 'run out' | 'fail'
type Given = { paidElsewhere: boolean; deeds: Deed[] }[]

const orderIn = ({ state, id }: Home): Order => state.orders.get(id)!

function open(given: Given): Home[] {
  return given.map(({ paidElsewhere }, at) => {
    const home: Home = { name: names[at]!, id: partId(), state: freshState(), wasPaidWhenGone: false }
    home.state.cell = home.name
    const payment = { id: partId(), provider: 'test', method: 'tok_ok' }
    const paying = paidElsewhere ? ({ provider: 'none' } as const) : { payment }
    carryOut(home, orderOf({ A: 1 }, { orderId: home.id, ...paying }))
    return home
  })
}

function carryOut(home: Home, command: Command): Order {
  const before = home.state.orders.get(home.id)
  const [stood, paid] = [standingOf(before).stands, before !== undefined && wasPaid(before)]
  home.state = carryOn(home.state, 1)
  decideBatch(home.state, [submit(command)])
  const order = orderIn(home)
  if (stood && !standingOf(order).stands) home.wasPaidWhenGone = paid
  return order
}

function saysOf(deed: Deed, id: Uuid, amount: Order['total']): Settlement {
  switch (deed) {
    case 'authorize':
      return { of: 'payment', id, says: 'authorized', reference: null }
    case 'capture':
      return { of: 'payment', id, says: 'captured', reference: null, amount }
    case 'decline':
    case 'fail':
      return { of: 'payment', id, says: 'failed', error: 'declined' }
    default:
      return { of: 'payment', id, says: 'voided' }
  }
}

function pay(home: Home, deed: Deed): void {
  const { total } = orderIn(home)
  if (deed === 'fail') {
    const payment = { id: partId(), provider: 'test', method: 'tok_ok' }
    carryOut(home, { kind: 'start_payment', shopId, orderId: home.id, ifVersion: null, payment })
  }
  const settlement = saysOf(deed, lifeOf(orderIn(home)).payments.at(-1)!.id, total)
  carryOut(home, { kind: 'settle', shopId, orderId: home.id, settlement })
}

const keyed = ({ name, id }: Home): LogEvent => {
  const data = {
    shop_id: shopId,
    order_id: toWireId('ord', name, id),
    key_hash: key.hash,
    request_hash: key.request,
    names: null,
  }
  return { type: 'order.keyed', data: JSON.stringify(data) } as LogEvent
}

/** Plays it to its end; `look` is called whenever something has changed. */
async function play(scheduler: fc.Scheduler, given: Given, faults: Fault[], look: (homes: Home[]) => void) {
  const homes = open(given)
  const homeOf = (name: CellName) => homes.find((home) => home.name === name)!
  const step = (label: string) => scheduler.schedule(Promise.resolve(), label)
  const failures: unknown[] = []
  const left = [...faults]

  async function send<T>(label: string, handle: () => Promise<T>): Promise<T> {
    const fault = left.shift() ?? 'none'
    await step(label)
    if (fault === 'question lost') throw new Lost()
    if (fault === 'doubled')
      void step(`${label} again`)
        .then(handle)
        .catch((error) => error instanceof Lost || failures.push(error))
    const answer = await handle()
    await step(`${label} answered`)
    if (fault === 'answer lost') throw new Lost()
    return answer
  }

  const optionsOf = (home: Home): MeetingOptions => ({
    cell: home.name,
    findKeys: async () => [{ shopId, ...key, resultId: home.id, takenBy: null }],
    rememberKey: async () => void failures.push(new Error('the key names no cell')),
    standing: (of) => send(`${home.name} asks ${of}`, async () => standingOf(orderIn(homeOf(of)))),
    async supersede(command) {
      await step(`${home.name} supersedes`)
      const order = carryOut(home, command)
      look(homes)
      return order
    },
    tellOther: (of, { id, other }) =>
      send(`${home.name} tells ${of}`, () =>
        settlePair(optionsOf(homeOf(of)), { shopId, own: id, from: home.name, id: other }),
      ),
    onMismatch: () => failures.push(new Error('the requests are the same')),
  })

  async function follow(home: Home, other: Home): Promise<void> {
    for (;;) {
      await step(`${home.name} reads ${other.name}`)
      try {
        return await meetOrders(optionsOf(home), other.name, [keyed(other)])
      } catch (error) {
        if (error instanceof Lost) continue
        failures.push(error)
        return
      }
    }
  }

  const works: Promise<void>[] = []
  for (const home of homes) {
    for (const other of homes) if (other !== home) works.push(follow(home, other))
    const { deeds } = given[homes.indexOf(home)]!
    works.push(
      (async () => {
        for (const deed of deeds) {
          await step(`${home.name}: ${deed}`)
          pay(home, deed)
          look(homes)
        }
      })(),
    )
  }
  await scheduler.waitFor(Promise.all(works))
  await scheduler.waitIdle()
  expect(failures).toEqual([])
  return homes
}

const deed = fc.constantFrom<Deed>('authorize', 'capture', 'decline', 'run out', 'fail')
const anyGiven = fc.array(
  fc.record({
    paidElsewhere: fc.integer({ min: 0, max: 5 }).map((lot) => lot === 0),
    deeds: fc.array(deed, { maxLength: 4 }),
  }),
  { minLength: 2, maxLength: 3 },
)
const anyFaults = fc.array(
  fc.constantFrom<Fault>('none', 'none', 'question lost', 'answer lost', 'doubled', 'doubled'),
  { maxLength: 12 },
)
const inEveryMeeting = (check: (homes: Home[]) => void, look: (homes: Home[]) => void = () => {}) =>
  fc.assert(
    fc.asyncProperty(fc.scheduler(), anyGiven, anyFaults, async (scheduler, given, faults) => {
      check(await play(scheduler, given, faults, look))
    }),
    { numRuns: 1_000 },
  )

const standing = (homes: Home[]) => homes.filter((home) => standingOf(orderIn(home)).stands)

test('of the orders of one key exactly one stands when their homes have met, and never none', async () => {
  await inEveryMeeting(
    (homes) => expect(standing(homes)).toHaveLength(1),
    (homes) => expect(standing(homes).length).toBeGreaterThan(0),
  )
})

test('no paid order gives way to one that nobody ever paid', async () => {
  await inEveryMeeting((homes) => {
    const [left] = standing(homes)
    if (homes.some((home) => home.wasPaidWhenGone)) expect(wasPaid(orderIn(left!))).toBe(true)
  })
})

test('of orders that are all paid, or all unpaid, the eldest stands', async () => {
  const alike = fc.tuple(fc.boolean(), fc.integer({ min: 2, max: 3 }))
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), alike, anyFaults, async (scheduler, [arePaid, count], faults) => {
      const given: Given = Array.from({ length: count }, () => ({ paidElsewhere: arePaid, deeds: [] }))
      const homes = await play(scheduler, given, faults, () => {})
      expect(standing(homes)).toEqual([homes[0]])
    }),
    { numRuns: 500 },
  )
})

test('an elder that is unpaid gives way to a younger that is paid before they meet', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), anyFaults, async (scheduler, faults) => {
      const given: Given = [
        { paidElsewhere: false, deeds: [] },
        { paidElsewhere: true, deeds: [] },
      ]
      const homes = await play(scheduler, given, faults, () => {})
      expect(standing(homes)).toEqual([homes[1]])
      expect(orderIn(homes[0]!)).toMatchObject({ status: 'cancelled', cancelReason: 'duplicate' })
    }),
    { numRuns: 500 },
  )
})
