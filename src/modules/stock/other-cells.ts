// What other cells have of a SKU, as they last said, and what they are told at once when something was sent to them. Told levels are
// remembered for a moment: whoever browses does not wait for another continent each time, and the age of every part is stated.
import { Compile } from 'typebox/compile'
import type { CellName, LocationCode, ShopId, Sku } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { instant } from '../../base/time.ts'
import type { Clock } from '../../runtime/clock.ts'
import { gather } from '../../runtime/gather.ts'
import { RefusedRequest } from '../../runtime/http.ts'
import type { Database } from '../../runtime/pg.ts'
import type { UnitPeers } from './allotments.ts'
import { skuKey } from './decide.ts'
import { totalOf } from './decide-transfers.ts'
import { ownPart, withTransfers } from './level-answers.ts'
import { CreditMessage, LevelsAnswer, LevelsMessage } from './peer-words.ts'
import { readRows, readTransfers, transferOf } from './store.ts'
import type { CellLevel, ReceiveUnits } from './types.ts'

export type OtherCells = {
  /** This cell's part first, then those that other cells told; what is older than a moment is asked for again, and waited for briefly. */
  levels(shopId: ShopId, skus: readonly Sku[]): Promise<CellLevel[]>
  /** The same, all of them asked now; undefined when one does not answer. Calls of one moment are one message to each. */
  freshLevels(shopId: ShopId, skus: readonly Sku[]): Promise<CellLevel[] | undefined>
  /** The levels once the others have what was sent to them of these SKUs, or have been waited for. Calls of one moment likewise. */
  settledLevels(shopId: ShopId, skus: readonly Sku[]): Promise<CellLevel[]>
  /** Tells the others what was sent to them of these SKUs, and waits briefly until they have it. */
  deliver(shopId: ShopId, skus: readonly Sku[]): Promise<void>
  /** Another asks what is here. */
  answerLevels(body: Json): Promise<Json>
  /** Another tells what it has sent. */
  answerCredit(from: CellName, body: Json): Promise<Json>
}

type Options = {
  cell: CellName
  database: Pick<Database, 'query'>
  /** The same, for what others are told: nothing that could still be lost. */
  told: Pick<Database, 'query'>
  peers: UnitPeers
  receive(command: ReceiveUnits): Promise<unknown>
  clock: Pick<Clock, 'now' | 'elapsedMs' | 'sleep'>
}

type Told = { level: CellLevel | null; atMs: number }

const checkLevels = Compile(LevelsMessage)
const checkLevelsAnswer = Compile(LevelsAnswer)
const checkCredit = Compile(CreditMessage)

export function openOtherCells({ cell, database, told: toldDatabase, peers, receive, clock }: Options): OtherCells {
  const told = new Map<string, Told>()
  const asking = new Map<string, Promise<void>>()
  const nameOf = (peer: CellName, shopId: ShopId, sku: Sku): string => `${peer} ${skuKey(shopId, sku)}`
  const isOld = (one: Told | undefined): boolean =>
    one === undefined || clock.elapsedMs() - one.atMs > limits.peerLevelsMs

  function refresh(peer: CellName, shopId: ShopId, skus: readonly Sku[]): Promise<void> {
    const name = `${peer} ${shopId} ${skus.join('\n')}`
    const underWay = asking.get(name)
    if (underWay) return underWay
    const one = askLevels(peer, shopId, skus).finally(() => asking.delete(name))
    asking.set(name, one)
    return one
  }

  async function askLevels(peer: CellName, shopId: ShopId, skus: readonly Sku[]): Promise<void> {
    const deadlineMs = limits.askMsMin + 4 * peers.rttMs(peer) + skus.length * limits.levelMsMax
    try {
      remember(
        peer,
        shopId,
        skus,
        await peers.call(peer, 'levels', { shop_id: shopId, skus: [...skus] }, { deadlineMs }),
      )
    } catch {} // out of reach: what it said last is told, with its age
  }

  function remember(peer: CellName, shopId: ShopId, skus: readonly Sku[], answer: Json): void {
    if (!checkLevelsAnswer.Check(answer)) return
    if (told.size + skus.length > limits.peerLevelsMax) told.clear()
    const levels = new Map(answer.levels.map((level) => [level.sku, level]))
    for (const sku of skus) {
      const level = levels.get(sku)
      const asOf = instant(answer.as_of)
      const known = level ? { cell: peer, asOf, ...levelOfWire(level) } : null
      told.set(nameOf(peer, shopId, sku), { level: known, atMs: clock.elapsedMs() })
    }
  }

  async function briefly(work: readonly Promise<void>[], ms: number): Promise<void> {
    if (work.length > 0) await Promise.race([Promise.all(work), clock.sleep(ms)])
  }

  async function credit(
    peer: CellName,
    { shopId, tracking, totals }: Pick<ReceiveUnits, 'shopId' | 'tracking' | 'totals'>,
  ): Promise<void> {
    try {
      const body = { shop_id: shopId, tracking, totals: [...totals] }
      const answer = await peers.call(peer, 'credit', body, { deadlineMs: limits.askMsMax })
      remember(peer, shopId, [...new Set(totals.map(({ sku }) => sku))], answer)
    } catch {} // it reads it in this cell's log
  }

  async function readOwn(from: Pick<Database, 'query'>, shopId: ShopId, skus: readonly Sku[]) {
    const of = skus.map((sku) => ({ shopId, sku }))
    const [rows, transfers] = await Promise.all([readRows(from, shopId, skus), readTransfers({ run: from.query }, of)])
    return { rows, transfers: transfers.map(transferOf) }
  }

  async function partsOf(shopId: ShopId, skus: readonly Sku[]): Promise<CellLevel[]> {
    const { rows, transfers } = await readOwn(database, shopId, skus)
    const asOf = clock.now()
    const there = new Set([cell, ...peers.others()]) // what went to a cell that has left is where it went since
    const bySku = Map.groupBy(rows, ({ sku }) => sku)
    const byRow = Map.groupBy(transfers, ({ row }) => row)
    return skus.flatMap((sku) => {
      const own = bySku.get(sku)
      const others = peers.others().flatMap((peer) => told.get(nameOf(peer, shopId, sku))?.level ?? [])
      const parts = own ? [ownPart(cell, own, asOf, byRow), ...others] : others
      return parts.map((part) => betweenThose(there, part))
    })
  }

  async function here(shopId: ShopId, skus: readonly Sku[]): Promise<Json> {
    const { rows, transfers } = await readOwn(toldDatabase, shopId, skus)
    const bySku = Map.groupBy(rows, ({ sku }) => sku)
    const byRow = Map.groupBy(transfers, ({ row }) => row)
    const levels = skus.flatMap((sku) => {
      const own = bySku.get(sku)
      return own ? [wireLevel(ownPart(cell, own, clock.now(), byRow))] : []
    })
    return { as_of: clock.now(), levels }
  }

  async function levels(shopId: ShopId, skus: readonly Sku[]): Promise<CellLevel[]> {
    const cells = peers.others()
    const stale = cells.filter(peers.isUp).flatMap((peer) => {
      const old = skus.filter((sku) => isOld(told.get(nameOf(peer, shopId, sku))))
      return old.length > 0 ? [refresh(peer, shopId, old)] : []
    })
    await briefly(stale, limits.peerLevelsWaitMs)
    return partsOf(shopId, skus)
  }

  async function deliver(shopId: ShopId, skus: readonly Sku[]): Promise<void> {
    const found = await readOwn(toldDatabase, shopId, skus).catch(() => undefined)
    if (!found) return // they read it in this cell's log, once it may leave
    const { rows, transfers } = found
    const places = new Map(rows.map((row) => [row.id, row]))
    const work = peers
      .others()
      .filter(peers.isUp)
      .flatMap((peer) => {
        const mine = transfers.filter((one) => one.peer === peer)
        const byTracking = Map.groupBy(mine, (one) => places.get(one.row)!.tracking) // what is not counted is said to be so, and nothing else
        return [...byTracking].map(([tracking, of]) => {
          const totals = of.map((one) => totalOf(places.get(one.row)!, one))
          return credit(peer, { shopId, tracking, totals })
        })
      })
    await briefly(work, limits.deliverWaitMs)
  }

  const fresh = together(async (shopId, skus) => {
    const askedAtMs = clock.elapsedMs()
    const cells = peers.others()
    await Promise.all(cells.map((peer) => askLevels(peer, shopId, skus)))
    const isFresh = (peer: CellName) =>
      skus.every((sku) => (told.get(nameOf(peer, shopId, sku))?.atMs ?? Number.NEGATIVE_INFINITY) >= askedAtMs)
    return cells.every(isFresh) ? partsOf(shopId, skus) : undefined
  })

  const settled = together(async (shopId, skus) => {
    await deliver(shopId, skus)
    return levels(shopId, skus)
  })

  return {
    levels,
    deliver,
    freshLevels: (shopId, skus) => fresh({ shopId, skus }),
    settledLevels: async (shopId, skus) => (await settled({ shopId, skus })) ?? [],
    async answerLevels(body) {
      if (!checkLevels.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It is no question about levels.'))
      return here(body.shop_id as ShopId, body.skus as Sku[])
    },
    async answerCredit(from, body) {
      if (!checkCredit.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It tells no totals.'))
      const shopId = body.shop_id as ShopId
      const totals = body.totals.map((one) => ({ ...one, sku: one.sku as Sku, location: one.location as LocationCode }))
      await receive({ kind: 'receive_units', shopId, from, totals, tracking: body.tracking })
      return here(shopId, [...new Set(totals.map(({ sku }) => sku))])
    },
  }
}

type Of = { shopId: ShopId; skus: readonly Sku[] }

/** As many messages as there are shops, however many ask at once; undefined of what could not be found out. */
function together(work: (shopId: ShopId, skus: readonly Sku[]) => Promise<CellLevel[] | undefined>) {
  return gather<Of, CellLevel[] | undefined>(limits.bulkInFlightMax, async (calls) => {
    const found = new Map<string, CellLevel[]>()
    const unknown = new Set<string>()
    for (const [shopId, ofShop] of Map.groupBy(calls, (call) => call.shopId)) {
      const all = [...new Set(ofShop.flatMap(({ skus }) => skus))]
      for (let at = 0; at < all.length; at += limits.adjustmentsMax) {
        const skus = all.slice(at, at + limits.adjustmentsMax)
        const parts = await work(shopId, skus)
        if (!parts) for (const sku of skus) unknown.add(skuKey(shopId, sku))
        for (const [sku, of] of Map.groupBy(parts ?? [], (part) => part.sku)) found.set(skuKey(shopId, sku), of)
      }
    }
    return calls.map(({ shopId, skus }) => {
      const keys = skus.map((sku) => skuKey(shopId, sku))
      return keys.some((key) => unknown.has(key)) ? undefined : keys.flatMap((key) => found.get(key) ?? [])
    })
  })
}

/** `netSent` stays what it is. */
const betweenThose = (cells: ReadonlySet<CellName>, part: CellLevel): CellLevel => ({
  ...part,
  rows: part.rows.map((row) => ({ ...row, transfers: row.transfers.filter((one) => cells.has(one.cell)) })),
})

/** A cell's own part in the form in which it tells others. */
function wireLevel({ sku, tracking, rows }: CellLevel) {
  return {
    ...{ sku, tracking },
    rows: rows.map(({ location, onHand, reserved, committed, allowance, missing, transfers }) => ({
      ...{ location, on_hand: onHand, reserved, committed, allowance, missing, transfers },
    })),
  }
}

const levelOfWire = ({ sku, tracking, rows }: LevelsAnswer['levels'][number]): Omit<CellLevel, 'cell' | 'asOf'> => ({
  sku: sku as Sku,
  tracking,
  rows: rows.map(({ location, on_hand: onHand, transfers, ...counters }) =>
    withTransfers(
      { location: location as LocationCode, onHand, ...counters },
      transfers.map(({ cell, sent, received }) => ({ cell: cell as CellName, sent, received })),
    ),
  ),
})
