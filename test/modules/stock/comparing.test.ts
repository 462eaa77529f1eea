// Two cells that compare what they remember, after one of them has forgotten some of it.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LocationCode, ShopId, Sku } from '../../../src/base/ids.ts'
import { newsIn, type TotalsOfPlace } from '../../../src/modules/stock/comparing.ts'

type Way = { sent: number; received: number }

/** What went one way of a place: never more received than sent. */
const way: fc.Arbitrary<Way> = fc
  .tuple(fc.nat(20), fc.nat(20))
  .map(([received, underWay]) => ({ sent: received + underWay, received }))
/** Both cells of one place, and how much of each of its four totals the first has forgotten. */
const place = fc.record({ to: way, back: way, forgotten: fc.tuple(fc.nat(20), fc.nat(20)) })

const amounts = (units: number) => ({ units, allowance: units * 2 })
const total = (name: number, sent: number, received: number): TotalsOfPlace => ({
  ...{ shopId: 1 as ShopId, sku: `S${name}` as Sku, location: 'main' as LocationCode },
  ...{ sent: amounts(sent), received: amounts(received) },
})

test('who takes over what is news remembers at least what the other does, and nothing is news twice', () => {
  fc.assert(
    fc.property(fc.array(place, { maxLength: 8 }), (places) => {
      const own = places.map(({ to, back, forgotten: [sent, received] }, name) =>
        total(name, Math.max(0, to.sent - sent), Math.max(0, back.received - received)),
      )
      const theirs = places.map(({ to, back }, name) => total(name, back.sent, to.received))
      const news = newsIn(own, theirs)
      const after = own.map((one) => ({
        ...one,
        sent: news.receivedThere.find(({ sku }) => sku === one.sku)?.received ?? one.sent,
        received: news.sentHere.find(({ sku }) => sku === one.sku)?.sent ?? one.received,
      }))
      for (const [at, their] of theirs.entries()) {
        expect(after[at]!.sent.units).toBeGreaterThanOrEqual(their.received.units)
        expect(after[at]!.received).toEqual(their.sent)
        expect(after[at]!.sent.units).toBeGreaterThanOrEqual(own[at]!.sent.units)
      }
      expect(newsIn(after, theirs)).toEqual({ sentHere: [], receivedThere: [] })
    }),
  )
})

test('a cell that has forgotten nothing is never found behind, whatever is under way', () => {
  fc.assert(
    fc.property(fc.array(place, { maxLength: 8 }), (places) => {
      const own = places.map(({ to, back }, name) => total(name, to.sent, back.received))
      const theirs = places.map(({ to, back }, name) => total(name, back.sent, to.received))
      expect(newsIn(own, theirs).receivedThere).toEqual([])
    }),
  )
})

test('a place that is not known at all is news both ways', () => {
  const theirs = [total(1, 2, 3)]
  expect(newsIn([], theirs)).toEqual({ sentHere: theirs, receivedThere: theirs })
})
