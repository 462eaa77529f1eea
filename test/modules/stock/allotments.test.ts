// What a cell asks the others for by itself, beside what buyers miss.
import { expect, test } from 'vitest'
import type { CellName, LocationCode, ShopId, Sku } from '../../../src/base/ids.ts'
import type { Json } from '../../../src/base/json.ts'
import { limits } from '../../../src/base/limits.ts'
import { createAllotments, type UnitPeers } from '../../../src/modules/stock/allotments.ts'
import { trackDemand } from '../../../src/modules/stock/demand.ts'
import type { StockRow, StockRowId } from '../../../src/modules/stock/types.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { eventually } from '../../support/eventually.ts'

const [eu1, us1] = ['eu1', 'us1'] as CellName[] as [CellName, CellName]

/** Sold beyond what is there. */
const short = (shopId: number, sku: string, id: number): StockRow => ({
  ...{ id: id as StockRowId, shopId: shopId as ShopId, sku: sku as Sku, location: 'main' as LocationCode },
  ...{ tracking: 'counted', onHand: 0, reserved: 0, committed: 2, shipped: 0, allowance: 0, missing: 0, version: 1 },
  ...{ countedAt: null, site: { priority: 0, country: null, lat: null, lon: null } },
})

test('many SKUs that are short are asked for in one message a shop, also of the cell where their group lives', async () => {
  const asked: { shop_id: number; asks: { sku: string; need: number; even_if_grouped: boolean }[] }[] = []
  const nothing = { known: false, lives_here: false, kept: false, given: 0, left: 0, rate: 0, tracking: 'counted' }
  const peers: UnitPeers = {
    others: () => [us1],
    isActive: () => true,
    isUp: () => true,
    rttMs: () => 1,
    async call(_, message, body: Json) {
      const ask = body as (typeof asked)[number]
      if (message === 'ask') asked.push(ask)
      return { answers: ask.asks.map(() => ({ ...nothing, totals: [] })) }
    },
  }
  const errors: unknown[] = []
  const allotments = createAllotments({
    ...{ cell: eu1, peers, clock: systemClock, demand: trackDemand(systemClock.elapsedMs) },
    send: () => Promise.reject(new Error('nobody asks here')),
    receive: () => Promise.reject(new Error('nothing comes')),
    onError: (error) => void errors.push(error),
  })
  for (const [at, sku] of ['A', 'B', 'C'].entries()) allotments.saw([short(1, sku, at)])
  allotments.saw([short(2, 'A', 9)])
  const before = asked.length // what ran low when it was seen is asked for at once
  await eventually(() => {
    allotments.askForOwed()
    return asked.length > before
  }, limits.owedEveryMs * 5)
  const messages = asked
    .slice(before)
    .map(({ shop_id, asks }) => [shop_id, ...asks.map(({ sku, need }) => `${sku} ${need}`)])
  expect(messages).toEqual([
    [1, 'A 2', 'B 2', 'C 2'],
    [2, 'A 2'],
  ])
  const grouped = asked.slice(before).flatMap(({ asks }) => asks.map((ask) => ask.even_if_grouped))
  expect(grouped, 'what is owed comes from where its group lives too').toEqual([true, true, true, true])
  expect(errors).toEqual([])
})
