// The life of an order, one transition at a time: every one that the four tables have, by name, and that no other happens.
import { describe, expect, test } from 'vitest'
import {
  paymentTable,
  type ReturnStatus,
  type ShipmentStatus,
  stateTables,
} from '../../../src/modules/orders/states.ts'
import type { Command } from '../../../src/modules/orders/types.ts'
import { transitionsOf } from '../../generate/states-page.ts'
import { atShipment, card, openScene, type Scene } from './life-given.ts'

type Name = keyof typeof stateTables
const tested = new Set<string>()
const nameOf = (table: string, from: string, to: string): string => `${table}: ${from} becomes ${to}`

const statusIn: Record<Name, (scene: Scene) => string> = {
  order: ({ order }) => order().status,
  payment: ({ payment }) => payment().status,
  shipment: ({ life }) => life().shipments.at(-1)!.status,
  return: ({ life }) => life().returns.at(-1)!.status,
}

/** One transition of the tables: `when` takes a scene from the one status to the other; `then` looks at what else follows. */
function transition(
  [table, from, to]: [Name, string, string],
  given: () => Scene,
  when: (scene: Scene) => Command | number,
  then: (scene: Scene) => void = () => {},
): void {
  const name = nameOf(table, from, to)
  tested.add(name)
  test(name, () => {
    const scene = given()
    expect(statusIn[table](scene)).toBe(from)
    const step = when(scene)
    if (typeof step === 'number') scene.wait(step)
    else scene.accept(step)
    expect(statusIn[table](scene)).toBe(to)
    then(scene)
  })
}

const unpaid = () => openScene({ A: 2 })
const paying = () => openScene({ A: 2 }, card())
const paid = () => openScene({ A: 2 }, { provider: 'none' })
const reviewed = () => openScene({ A: 2 }, { ...card(), review: ['amount'] })
const later = () => openScene({ A: 2 }, { ...card(), ...atShipment })

/** The scene after some commands, each made when it is its turn. */
function having(scene: Scene, ...steps: ((scene: Scene) => Command)[]): Scene {
  for (const step of steps) scene.accept(step(scene))
  return scene
}
const says = (status: Parameters<Scene['says']>[0]) => (scene: Scene) => scene.says(status)
const shipAll = (scene: Scene) => scene.ship()

describe('an order', () => {
  transition(['order', 'pending', 'in_review'], reviewed, says('authorized'), (scene) => {
    expect(scene.row(1)).toEqual({ onHand: 5, reserved: 2, committed: 0, shipped: 0 })
    expect(scene.order().expiresAt).toBe(scene.payment().authorizedUntil)
    expect(scene.told()).not.toContain('payment.capture_requested')
  })
  transition(['order', 'pending', 'confirmed'], paying, says('captured'), (scene) => {
    expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 2, shipped: 0 })
    expect(scene.eventsOf('order.confirmed')).toMatchObject([{ amount: 10, currency: 'EUR' }])
  })
  transition(
    ['order', 'pending', 'cancelled'],
    unpaid,
    () => 900_000,
    (scene) => {
      expect(scene.order().cancelReason).toBe('unpaid')
      expect(scene.row(1).reserved).toBe(0)
    },
  )
  transition(
    ['order', 'in_review', 'pending'],
    () => having(reviewed(), says('authorized'), ({ review }) => review(true)),
    says('failed'),
    (scene) => {
      expect(scene.row(1)).toEqual({ onHand: 5, reserved: 2, committed: 0, shipped: 0 })
      expect(scene.eventsOf('order.unpaid')).toEqual([
        { order_id: expect.any(String), expires_at: '2026-01-01T00:15:00.000Z' },
      ])
    },
  )
  transition(
    ['order', 'in_review', 'confirmed'],
    () => having(reviewed(), says('captured')),
    ({ review }) => review(true),
    (scene) => expect(scene.row(1)).toMatchObject({ reserved: 0, committed: 2 }),
  )
  transition(
    ['order', 'in_review', 'cancelled'],
    () => having(reviewed(), says('authorized')),
    ({ review }) => review(false),
    (scene) => {
      expect(scene.order().cancelReason).toBe('fraud')
      expect(scene.payment().asked).toBe('void')
      expect(scene.row(1)).toMatchObject({ reserved: 0, committed: 0 })
    },
  )
  transition(
    ['order', 'confirmed', 'pending'],
    () => having(later(), says('authorized')),
    says('voided'),
    (scene) => {
      expect(scene.row(1)).toEqual({ onHand: 5, reserved: 2, committed: 0, shipped: 0 })
      expect(scene.eventsOf('order.unpaid')).toMatchObject([{ credited: 10, currency: 'EUR' }])
    },
  )
  transition(['order', 'confirmed', 'completed'], paid, shipAll, (scene) => {
    expect(scene.row(1)).toEqual({ onHand: 3, reserved: 0, committed: 0, shipped: 2 })
  })
  transition(
    ['order', 'confirmed', 'cancelled'],
    () => having(paying(), says('captured')),
    ({ cancel }) => cancel(),
    (scene) => {
      expect(scene.row(1)).toMatchObject({ reserved: 0, committed: 0 })
      expect(scene.life().refunds).toMatchObject([{ amount: 10, status: 'pending' }])
      expect(scene.eventsOf('order.cancelled')).toMatchObject([{ credited: 10, currency: 'EUR' }])
    },
  )
})

describe('a payment', () => {
  transition(['payment', 'pending', 'requires_action'], paying, says('requires_action'), (scene) => {
    expect(scene.payment().nextAction).toEqual({ url: 'https://bank.example' })
    expect(scene.order().expiresAt).not.toBeNull() // a buyer who walks away keeps no units
  })
  transition(['payment', 'pending', 'authorized'], paying, says('authorized'), (scene) => {
    expect(scene.eventsOf('payment.capture_requested')).toMatchObject([{ amount: 10 }])
  })
  transition(['payment', 'pending', 'captured'], paying, says('captured'), (scene) => {
    expect(scene.told()).toEqual([
      'order.placed',
      'payment.requested',
      'payment.authorized',
      'payment.captured',
      'order.confirmed',
    ])
  })
  transition(['payment', 'pending', 'failed'], paying, says('failed'), (scene) => {
    expect(scene.order()).toMatchObject({ status: 'pending' })
    expect(scene.order().expiresAt).not.toBeNull()
    expect(scene.payment().error).toBe('card_declined')
  })
  transition(['payment', 'pending', 'voided'], paying, says('voided'))
  const acting = () => having(paying(), says('requires_action'))
  transition(['payment', 'requires_action', 'authorized'], acting, says('authorized'), (scene) => {
    expect(scene.payment()).toMatchObject({ nextAction: null, asked: 'capture' })
  })
  transition(['payment', 'requires_action', 'captured'], acting, says('captured'), (scene) => {
    expect(scene.order().status).toBe('confirmed')
  })
  transition(['payment', 'requires_action', 'failed'], acting, says('failed'))
  transition(
    ['payment', 'requires_action', 'voided'],
    () => {
      const scene = acting()
      scene.wait(900_000)
      expect(scene.order().status).toBe('cancelled')
      expect(scene.payment().asked).toBe('void')
      return scene
    },
    says('voided'),
    (scene) => expect(scene.payment().asked).toBeNull(),
  )
  const authorized = () => having(paying(), says('authorized'))
  transition(['payment', 'authorized', 'captured'], authorized, says('captured'), (scene) => {
    expect(scene.order().status).toBe('confirmed')
    expect(scene.told().filter((type) => type === 'payment.authorized')).toHaveLength(1)
  })
  transition(['payment', 'authorized', 'failed'], authorized, says('failed'), (scene) => {
    expect(scene.payment().asked).toBeNull()
    expect(scene.order().expiresAt).not.toBeNull()
  })
  transition(
    ['payment', 'authorized', 'voided'],
    () => having(later(), says('authorized'), ({ cancel }) => cancel()),
    says('voided'),
    (scene) => expect(scene.held()).toBe(0),
  )
  const failed = () => having(paying(), says('failed'))
  transition(['payment', 'failed', 'authorized'], failed, says('authorized'), (scene) => {
    expect(scene.payment()).toMatchObject({ asked: 'capture', error: null })
  })
  transition(['payment', 'failed', 'captured'], failed, says('captured'), (scene) => {
    expect(scene.order().status).toBe('confirmed')
  })
  transition(
    ['payment', 'voided', 'captured'],
    () => having(later(), says('authorized'), ({ cancel }) => cancel(), says('voided')),
    says('captured'),
    (scene) => {
      expect(scene.life().refunds).toMatchObject([{ amount: 10, status: 'pending' }])
      expect(scene.held()).toBe(0)
    },
  )
})

describe('a shipment', () => {
  const picking: ShipmentStatus = 'picking'
  const packed: ShipmentStatus = 'packed'
  const shipped: ShipmentStatus = 'shipped'
  const pickAll = (scene: Scene) => scene.pick()
  const packIt = (scene: Scene) => scene.pack()
  transition(
    ['shipment', picking, packed],
    () => having(paid(), pickAll),
    ({ pack }) => pack(),
    (scene) => {
      scene.accept(scene.pack())
      expect(scene.eventsOf('shipment.packed')).toMatchObject([
        { lines: [{ sku: 'A', quantity: 2, location: 'main' }] },
      ])
      expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 2, shipped: 0 })
    },
  )
  transition(
    ['shipment', picking, 'cancelled'],
    () => having(paid(), pickAll),
    ({ giveUp }) => giveUp(),
    (scene) => {
      expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 2, shipped: 0 })
      scene.accept(scene.pick()) // its units are in no parcel again
      expect(scene.order().status).toBe('confirmed')
    },
  )
  transition(
    ['shipment', packed, shipped],
    () => having(paid(), pickAll, packIt),
    ({ dispatch }) => dispatch(),
    (scene) => {
      expect(scene.row(1)).toEqual({ onHand: 3, reserved: 0, committed: 0, shipped: 2 })
      expect(scene.eventsOf('shipment.created')).toMatchObject([{ carrier: 'dhl', tracking_number: 'T-2' }])
      expect(scene.order().status).toBe('completed')
    },
  )
  transition(
    ['shipment', packed, 'cancelled'],
    () => having(paid(), pickAll, packIt),
    ({ cancel }) => cancel(),
    (scene) => {
      expect(scene.order()).toMatchObject({ status: 'cancelled', cancelReason: 'buyer' })
      expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 0, shipped: 0 })
      expect(scene.told().slice(-3)).toEqual(['shipment.cancelled', 'order.cancelled', 'payment.refunded'])
    },
  )
  transition(
    ['shipment', shipped, 'delivered'],
    () => having(paid(), shipAll),
    ({ deliver }) => deliver(),
    (scene) => {
      scene.accept(scene.deliver())
      expect(scene.eventsOf('shipment.delivered')).toHaveLength(1)
    },
  )
})

describe('a return', () => {
  const requested: ReturnStatus = 'requested'
  transition(
    ['return', requested, 'received'],
    () => having(paid(), shipAll, ({ askReturn }) => askReturn({ A: 1 })),
    ({ receive }) => receive({ A: 1 }),
    (scene) => {
      expect(scene.row(1)).toEqual({ onHand: 4, reserved: 0, committed: 0, shipped: 2 })
      expect(scene.life().refunds).toMatchObject([{ amount: 5, status: 'refunded' }])
    },
  )
})

describe('the tables', () => {
  test('have no transition without a test of its name', () => {
    const all = Object.entries(stateTables).flatMap(([table, rows]) =>
      transitionsOf(rows).map(({ from, to }) => nameOf(table, from, to)),
    )
    expect([...tested].toSorted()).toEqual(all.toSorted())
  })

  test('let a provider say what it likes: what the table does not have changes nothing', () => {
    const ways: Record<keyof typeof paymentTable, () => Scene> = {
      pending: paying,
      requires_action: () => having(paying(), says('requires_action')),
      authorized: () => having(paying(), says('authorized')),
      captured: () => having(paying(), says('captured')),
      failed: () => having(paying(), says('failed')),
      voided: () => having(paying(), says('voided')),
    }
    for (const from of Object.keys(paymentTable) as (keyof typeof paymentTable)[]) {
      for (const to of Object.keys(paymentTable) as (keyof typeof paymentTable)[]) {
        if (to in paymentTable[from] || to === 'pending') continue
        const scene = ways[from]()
        expect(scene.refusal(scene.says(to)), `${from}, and the provider says ${to}`).toBe('accepted')
      }
    }
  })
})
