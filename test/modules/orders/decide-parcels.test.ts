// Parcels that are picked and packed before they leave: what they hold is in no other one, leaves stock when they do, and is lost
// to them when it is not found. Refusals have changed nothing (the scene checks that).
import { describe, expect, test } from 'vitest'
import { atShipment, card, openScene, partId, type Scene } from './life-given.ts'

/** 5 of A and 5 of B lie at main, as many at east. */
const paid = (units: Record<string, number> = { A: 4 }) => openScene(units, { provider: 'none' })
const parcels = (scene: Scene) => scene.life().shipments.map(({ status, lines }) => [status, ...held(lines)])
const held = (lines: readonly { quantity: number; location: string }[]) =>
  lines.map(({ quantity, location }) => `${quantity} ${location}`)

describe('units of an open parcel', () => {
  test('are in no second one, and are not shipped beside it', () => {
    const scene = paid()
    scene.accept(scene.pick({ A: 3 }))
    expect(scene.refusal(scene.pick({ A: 2 }))).toBe('units_in_parcel')
    expect(scene.refusal(scene.ship({ A: 2 }))).toBe('units_in_parcel')
    scene.accept(scene.pick())
    expect(parcels(scene)).toEqual([
      ['picking', '3 main'],
      ['picking', '1 main'],
    ])
    expect(scene.refusal(scene.pick())).toBe('units_in_parcel')
    expect(scene.refusal(scene.ship())).toBe('units_in_parcel')
    expect(scene.refusal(scene.pick({ A: 5 }))).toBe('quantity_too_large')
    expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 4, shipped: 0 })
  })

  test('leave with it, and the order is complete when the last one has left', () => {
    const scene = paid({ A: 2, B: 2 })
    scene.accept(scene.pick({ A: 2 }))
    const { id } = scene.life().shipments[0]!
    scene.accept(scene.ship())
    expect(scene.order().status).toBe('confirmed')
    expect(parcels(scene)).toEqual([
      ['picking', '2 main'],
      ['shipped', '2 main'],
    ])
    scene.accept(scene.pack(id))
    scene.accept(scene.dispatch(id))
    expect(scene.order().status).toBe('completed')
    expect(scene.life().shipments[0]).toMatchObject({ status: 'shipped', carrier: 'dhl', trackingNumber: 'T-2' })
    expect(scene.row(1)).toEqual({ onHand: 3, reserved: 0, committed: 0, shipped: 2 })
  })

  test('are at one location: those elsewhere are picked there', () => {
    const scene = paid({ A: 7 })
    scene.accept(scene.pick(null, 'main'))
    expect(scene.refusal(scene.pick({ A: 1 }, 'main'))).toBe('units_in_parcel')
    expect(scene.refusal(scene.pick({ A: 3 }, 'east'))).toBe('quantity_too_large')
    scene.accept(scene.pick(null, 'east'))
    expect(parcels(scene)).toEqual([
      ['picking', '5 main'],
      ['picking', '2 east'],
    ])
    expect(scene.refusal(scene.pick(null, 'west'))).toBe('nothing_to_ship')
  })

  test('are told by every event of it but the last', () => {
    const scene = paid()
    scene.accept(scene.pick({ A: 1 }))
    scene.accept(scene.pack())
    scene.accept(scene.giveUp())
    const told = {
      shipment_id: expect.stringMatching(/^shp_eu1_/),
      lines: [{ sku: 'A', quantity: 1, location: 'main' }],
    }
    for (const type of ['shipment.picking', 'shipment.packed', 'shipment.cancelled'])
      expect(scene.eventsOf(type)).toEqual([{ order_id: expect.any(String), ...told }])
    expect(scene.told()).not.toContain('shipment.created')
  })
})

describe('money at shipment', () => {
  const authorized = () => {
    const scene = openScene({ A: 2 }, { ...card(), ...atShipment })
    scene.accept(scene.says('authorized'))
    return scene
  }
  test('is asked for when a parcel leaves, not when it is picked or packed', () => {
    const scene = authorized()
    scene.accept(scene.pick())
    scene.accept(scene.pack())
    expect(scene.payment().asked).toBeNull()
    scene.accept(scene.dispatch())
    expect(scene.payment().asked).toBe('capture')
  })
  test('that is gone keeps goods in: none are picked, and none that are packed leave', () => {
    const scene = authorized()
    scene.accept(scene.pick({ A: 1 }))
    scene.accept(scene.pack())
    scene.accept(scene.says('voided'))
    expect(['order_not_paid', 'order_not_confirmed']).toContain(scene.refusal(scene.dispatch()))
    expect(['order_not_paid', 'order_not_confirmed']).toContain(scene.refusal(scene.pick()))
  })
})

describe('of cancel and ship exactly one wins', () => {
  test('an order whose parcels have not left is cancelled, and they with it', () => {
    const scene = paid()
    scene.accept(scene.pick({ A: 1 }))
    scene.accept(scene.pack())
    scene.accept(scene.pick({ A: 1 }))
    scene.accept(scene.cancel())
    expect(scene.order().status).toBe('cancelled')
    expect(parcels(scene)).toEqual([
      ['cancelled', '1 main'],
      ['cancelled', '1 main'],
    ])
    expect(scene.refusal(scene.dispatch())).toBe('shipment_cancelled')
    expect(scene.refusal(scene.pack())).toBe('shipment_cancelled')
    expect(scene.row(1)).toEqual({ onHand: 5, reserved: 0, committed: 0, shipped: 0 })
  })
  test('one that has left stays, and the others of its order are given up', () => {
    const scene = paid()
    scene.accept(scene.pick({ A: 1 }))
    scene.accept(scene.pack())
    scene.accept(scene.dispatch())
    scene.accept(scene.pick({ A: 2 }))
    scene.accept(scene.cancel())
    expect(scene.order()).toMatchObject({ status: 'completed', cancelled: [3] })
    expect(parcels(scene)).toEqual([
      ['shipped', '1 main'],
      ['cancelled', '2 main'],
    ])
    expect(scene.refusal(scene.giveUp(scene.life().shipments[0]!.id))).toBe('shipment_shipped')
    expect(scene.row(1)).toEqual({ onHand: 4, reserved: 0, committed: 0, shipped: 1 })
  })
  test('units are cancelled one by one only while they are in no parcel', () => {
    const scene = paid()
    scene.accept(scene.pick({ A: 2 }))
    expect(scene.refusal(scene.cancel({ A: 3 }))).toBe('units_in_parcel')
    scene.accept(scene.cancel({ A: 2 }))
    expect(parcels(scene)).toEqual([['picking', '2 main']])
    expect(scene.row(1).committed).toBe(2)
    expect(scene.refusal(scene.cancel({ A: 1 }))).toBe('units_in_parcel')
    scene.accept(scene.cancel({ A: 2 })) // all that is left
    expect(scene.order().status).toBe('cancelled')
  })
  test('of lines that lie apart, the units in no parcel go, wherever they are', () => {
    const scene = paid({ A: 7 })
    scene.accept(scene.pick(null, 'east'))
    scene.accept(scene.cancel({ A: 4 }))
    expect([scene.row(1).committed, scene.row(2).committed]).toEqual([1, 2])
    scene.accept(scene.pack())
    scene.accept(scene.dispatch())
    expect(scene.row(2)).toEqual({ onHand: 3, reserved: 0, committed: 0, shipped: 2 })
  })
})

describe('a parcel is refused', () => {
  test('what does not fit its status', () => {
    const scene = paid()
    scene.accept(scene.pick({ A: 1 }))
    expect(scene.refusal(scene.dispatch())).toBe('shipment_not_packed')
    expect(scene.refusal(scene.deliver())).toBe('shipment_not_shipped')
    scene.accept(scene.pack())
    expect(scene.refusal(scene.deliver())).toBe('shipment_not_shipped')
    scene.accept(scene.dispatch())
    expect(scene.refusal(scene.pack())).toBe('shipment_shipped')
    expect(scene.refusal(scene.dispatch())).toBe('shipment_shipped')
    scene.accept(scene.deliver())
    expect(scene.refusal(scene.giveUp())).toBe('shipment_shipped')
    scene.accept(scene.pick({ A: 1 }))
    scene.accept(scene.giveUp())
    expect(scene.refusal(scene.giveUp())).toBe('shipment_cancelled')
    expect(scene.refusal(scene.deliver())).toBe('shipment_cancelled')
    expect(scene.refusal(scene.pack(partId()))).toBe('not_found')
  })
  test('before its order is paid, and after it is over', () => {
    const open = openScene({ A: 1 })
    expect(open.refusal(open.pick())).toBe('order_not_confirmed')
    open.accept(open.cancel())
    expect(open.refusal(open.pick())).toBe('order_cancelled')
    const done = paid()
    done.accept(done.ship())
    expect(done.refusal(done.pick())).toBe('order_shipped')
  })
  test('but an address may change as long as none has left', () => {
    const scene = paid()
    scene.accept(scene.pick())
    scene.accept(scene.pack())
    scene.accept(scene.address('FR'))
    scene.accept(scene.dispatch())
    expect(scene.refusal(scene.address('DE'))).toBe('order_shipped')
  })
})

describe('a short pick', () => {
  test('takes as many as there are elsewhere, and cancels the others with their price', () => {
    const other = 4
    const scene = paid({ A: 10 - other })
    scene.accept(scene.pick({ A: 5 }))
    scene.accept(scene.shortPick({ A: 5 }))
    // east has 5, of which this order has 1 already.
    expect(scene.order()).toMatchObject({ status: 'confirmed', cancelled: [1] })
    expect(scene.row(1)).toEqual({ onHand: 0, reserved: 0, committed: 0, shipped: 0 })
    expect(scene.row(2)).toEqual({ onHand: 5, reserved: 0, committed: 5, shipped: 0 })
    expect(scene.eventsOf('order.short_picked')).toMatchObject([
      { location: 'main', lines: [{ sku: 'A', quantity: 5 }], not_found: [{ sku: 'A', quantity: 1 }] },
    ])
    expect(scene.eventsOf('order.lines_cancelled')).toMatchObject([{ credited: 5, reason: 'short' }])
    expect(parcels(scene)).toEqual([['cancelled']])
    scene.accept(scene.ship(null, 'east'))
    expect(scene.order().status).toBe('completed')
  })

  test('of a parcel leaves it the rest, and lines of one SKU share what there is elsewhere', () => {
    const scene = openScene({}, { provider: 'none', lines: twoLines })
    scene.accept(scene.pick())
    scene.accept(scene.shortPick({ A: 2 }))
    expect(parcels(scene)).toEqual([['picking', '2 main']])
    expect([scene.row(1).onHand, scene.row(1).committed, scene.row(2).committed]).toEqual([3, 2, 2])
    scene.accept(scene.pack())
    scene.accept(scene.dispatch())
    scene.accept(scene.ship())
    expect(scene.order().status).toBe('completed')
  })

  test('takes them from what is being picked first, and never from what is packed', () => {
    const scene = paid({ A: 5 })
    scene.accept(scene.pick({ A: 1 }))
    scene.accept(scene.pack())
    scene.accept(scene.pick({ A: 2 }))
    expect(scene.refusal(scene.shortPick({ A: 5 }))).toBe('units_in_parcel')
    scene.accept(scene.shortPick({ A: 3 }))
    expect(parcels(scene)).toEqual([['packed', '1 main'], ['cancelled']])
    expect(scene.row(1)).toEqual({ onHand: 2, reserved: 0, committed: 2, shipped: 0 })
    expect(scene.row(2).committed).toBe(3)
  })

  test('loses nothing that a count has not found either', () => {
    const scene = paid({ A: 2 })
    scene.count('A', 'main', 0)
    scene.accept(scene.shortPick({ A: 2 }))
    expect(scene.row(1)).toEqual({ onHand: 0, reserved: 0, committed: 0, shipped: 0 })
    expect(scene.row(2).committed).toBe(2)
    expect(scene.order().cancelled).toBeNull()
  })

  test('takes none of a SKU that is short as a whole', () => {
    const scene = paid({ A: 10 })
    scene.count('A', 'main', 0)
    scene.accept(scene.shortPick({ A: 5 }))
    expect(scene.order()).toMatchObject({ status: 'confirmed', cancelled: [5] })
    expect([scene.row(1).committed, scene.row(2).committed]).toEqual([0, 5])
  })
})

const twoLines = [2, 2].map((quantity) => ({ sku: 'A' as never, quantity, unitPrice: 5 as never, amount: 10 as never }))
