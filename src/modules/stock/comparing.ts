// What two cells remember of the units that went between them, compared place by place. Who has forgotten takes over what the other
// remembers: a cell that was restored mends itself, and one that was restored and does not know it finds out. Every number is a
// total that only grows, so an answer may be late or come twice.
import { Compile } from 'typebox/compile'
import type { CellName, LocationCode, ShopId, Sku } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { RefusedRequest } from '../../runtime/http.ts'
import type { Database } from '../../runtime/pg.ts'
import { bareArray, textArray } from '../../runtime/pg-values.ts'
import type { UnitPeers } from './allotments.ts'
import { TotalsAnswer, TotalsMessage } from './peer-words.ts'
import type { Received, ReceiveUnits, Remembered, RememberSent, Total } from './types.ts'

/** What one cell remembers of one place and one other cell. */
export type TotalsOfPlace = {
  shopId: ShopId
  sku: Sku
  location: LocationCode
  sent: Amounts
  received: Amounts
}
type Amounts = Pick<Total, 'units' | 'allowance'>

export type Comparing = {
  /** Another asks what is remembered here of what went between it and this cell. */
  answerTotals(from: CellName, body: Json): Promise<Json>
  /** Takes over all that the other remembers. Rejects when it is out of reach, or tells of places that are not known here yet. */
  takeOver(peer: CellName): Promise<{ received: number; remembered: number; missing: number }>
  /** Credits what the other has sent. Answers whether it has received what this cell has never sent: it was set back then. */
  isBehind(peer: CellName): Promise<boolean>
}

type Options = {
  database: Pick<Database, 'query'>
  /** What others may be told. */
  told: Pick<Database, 'query'>
  peers: Pick<UnitPeers, 'call'>
  receive(command: ReceiveUnits): Promise<Received>
  remember(command: RememberSent): Promise<Remembered>
}

const nothing: Amounts = { units: 0, allowance: 0 }
const exceeds = (a: Amounts, b: Amounts): boolean => a.units > b.units || a.allowance > b.allowance

/** What of the other's memory is news here: units that it sent, and units that it received. Pure. */
export function newsIn(own: readonly TotalsOfPlace[], theirs: readonly TotalsOfPlace[]) {
  const known = new Map(own.map((one) => [placeOf(one), one]))
  const of = (one: TotalsOfPlace) => known.get(placeOf(one)) ?? { sent: nothing, received: nothing }
  return {
    sentHere: theirs.filter((one) => exceeds(one.sent, of(one).received)),
    receivedThere: theirs.filter((one) => exceeds(one.received, of(one).sent)),
  }
}

const placeOf = ({ shopId, sku, location }: TotalsOfPlace): string => `${shopId}\n${sku}\n${location}`

// In the order of the rows' own key, so that a page begins where the one before ended.
const columns = `
  r.shop_id, r.sku, r.location, t.sent_units, t.sent_allowance, t.received_units, t.received_allowance`
const pageSql = `
  select ${columns} from stock.rows r join stock.transfers t on t.row_id = r.id
  where t.peer = $1 and (r.shop_id, r.sku, r.location) > ($2, $3, $4)
  order by r.shop_id, r.sku, r.location limit $5`
const ofPlacesSql = `
  select ${columns} from unnest($2::integer[], $3::text[], $4::text[]) u(shop_id, sku, location)
  join stock.rows r using (shop_id, sku, location) join stock.transfers t on t.row_id = r.id and t.peer = $1`

type TotalsRecord = {
  shop_id: ShopId
  sku: Sku
  location: LocationCode
  sent_units: number
  sent_allowance: number
  received_units: number
  received_allowance: number
}

const totalsOf = (record: TotalsRecord): TotalsOfPlace => ({
  shopId: record.shop_id,
  sku: record.sku,
  location: record.location,
  sent: { units: record.sent_units, allowance: record.sent_allowance },
  received: { units: record.received_units, allowance: record.received_allowance },
})

const checkMessage = Compile(TotalsMessage)
const checkAnswer = Compile(TotalsAnswer)

export function createComparing({ database, told, peers, receive, remember }: Options): Comparing {
  /** Hands over what is news, page by page, in their order. */
  async function compare(peer: CellName, take: (news: ReturnType<typeof newsIn>) => Promise<void>): Promise<void> {
    let after: { shop_id: number; sku: string; location: string } | null = null
    for (;;) {
      const body: Json = { after }
      const answer = await peers.call(peer, 'totals', body, { deadlineMs: limits.totalsMsMax })
      if (!checkAnswer.Check(answer)) throw new Error(`${peer} tells no totals`)
      const theirs = answer.totals.map((one): TotalsOfPlace => {
        const { shop_id: shopId, sku, location, sent, received } = one
        return { shopId: shopId as ShopId, sku: sku as Sku, location: location as LocationCode, sent, received }
      })
      // Read afterwards: what the other had received by then had been sent here before.
      await take(newsIn(await readOwn(peer, theirs), theirs))
      const last = answer.totals.at(-1)
      if (!last || answer.totals.length < limits.totalsPageMax) return
      after = { shop_id: last.shop_id, sku: last.sku, location: last.location }
    }
  }

  async function readOwn(peer: CellName, places: readonly TotalsOfPlace[]): Promise<TotalsOfPlace[]> {
    const rows = await database.query<TotalsRecord>(ofPlacesSql, [
      peer,
      bareArray(places.map(({ shopId }) => shopId)),
      textArray(places.map(({ sku }) => sku)),
      textArray(places.map(({ location }) => location)),
    ])
    return rows.map(totalsOf)
  }

  /** One command a shop; answers how many units were new. */
  async function receiveAll(from: CellName, places: readonly TotalsOfPlace[]): Promise<number> {
    let units = 0
    for (const [shopId, ofShop] of Map.groupBy(places, (one) => one.shopId)) {
      const totals = ofShop.map(({ sku, location, sent }) => ({ sku, location, ...sent }))
      const done = await receive({ kind: 'receive_units', shopId, from, totals, tracking: 'counted' })
      insistOnPlaces(from, done.left)
      units += done.units
    }
    return units
  }

  async function rememberAll(to: CellName, places: readonly TotalsOfPlace[]) {
    const sum = { units: 0, missing: 0 }
    for (const [shopId, ofShop] of Map.groupBy(places, (one) => one.shopId)) {
      const totals = ofShop.map(({ sku, location, received }) => ({ sku, location, ...received }))
      const done = await remember({ kind: 'remember_sent', shopId, to, totals })
      insistOnPlaces(to, done.left)
      sum.units += done.units
      sum.missing += done.missing
    }
    return sum
  }

  return {
    async answerTotals(from, body) {
      if (!checkMessage.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It asks for no totals.'))
      const { shop_id: shop, sku, location } = body.after ?? { shop_id: 0, sku: '', location: '' }
      const rows = await told.query<TotalsRecord>(pageSql, [from, shop, sku, location, limits.totalsPageMax])
      return {
        totals: rows.map(totalsOf).map(({ shopId, ...one }) => ({ shop_id: shopId, ...one })),
      }
    },
    async takeOver(peer) {
      const taken = { received: 0, remembered: 0, missing: 0 }
      await compare(peer, async ({ sentHere, receivedThere }) => {
        taken.received += await receiveAll(peer, sentHere)
        const { units, missing } = await rememberAll(peer, receivedThere)
        taken.remembered += units
        taken.missing += missing
      })
      return taken
    },
    async isBehind(peer) {
      let isBehind = false
      await compare(peer, async ({ sentHere, receivedThere }) => {
        if (receivedThere.length > 0) isBehind = true
        if (!isBehind) await receiveAll(peer, sentHere)
      })
      return isBehind
    },
  }
}

function insistOnPlaces(peer: CellName, left: number): void {
  if (left > 0) throw new Error(`${left} places of ${peer} are not known here yet`)
}
