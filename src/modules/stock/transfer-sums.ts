// What went between two cells in all, as each of them has booked it. Totals only grow, and nothing is received that was not sent, so
// that equal sums mean that nothing is under way; one number a shop says it for any number of SKUs.
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { CellName, ShopId } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { oneOf } from '../../base/schemas.ts'
import { type CellState, cellNamed, cellStates, type Topology } from '../../base/topology.ts'
import type { Database } from '../../runtime/pg.ts'
import type { UnitPeers } from './allotments.ts'
import type { Confirmed } from './audit.ts'

type Reader = Pick<Database, 'query'>

const Units = Type.Integer({ minimum: 0 })
const SumsAnswer = Type.Object({
  /** What the asking cell is to the answering one. */
  state: oneOf(cellStates),
  shops: Type.Array(
    Type.Object({
      shop_id: Type.Integer(),
      sent_units: Units,
      sent_allowance: Units,
      received_units: Units,
      received_allowance: Units,
    }),
  ),
})
const checkSums = Compile(SumsAnswer)

type Sums = {
  shop_id: ShopId
  sent_units: number
  sent_allowance: number
  received_units: number
  received_allowance: number
}

const sumsSql = `
  select r.shop_id, sum(t.sent_units)::bigint as sent_units, sum(t.sent_allowance)::bigint as sent_allowance,
    sum(t.received_units)::bigint as received_units, sum(t.received_allowance)::bigint as received_allowance
  from stock.transfers t join stock.rows r on r.id = t.row_id where t.peer = $1 group by 1 order by 1`

/** The handler of the message `transfer-sums`. `database`: as others may be told of it. */
export const transferSumsHandler =
  (database: Reader, topology: { current(): Topology }) =>
  async (from: CellName): Promise<Json> => ({
    state: cellNamed(topology.current(), from)!.state,
    shops: await database.query<Sums>(sumsSql, [from]),
  })

async function ask(peers: Pick<UnitPeers, 'call'>, peer: CellName): Promise<{ state: CellState; shops: Sums[] }> {
  const answer = await peers.call(peer, 'transfer-sums', {}, { deadlineMs: limits.askMsMax })
  if (!checkSums.Check(answer)) throw new Error(`${peer} answered a question for sums with something else`)
  return answer as { state: CellState; shops: Sums[] }
}

type Between = { database: Reader; peers: Pick<UnitPeers, 'call' | 'others'> }

/** What keeps a draining cell from leaving: a peer that does not know that it drains, or between whom and it something is under way. */
export async function unsettledWith({ database, peers }: Between): Promise<string | null> {
  for (const peer of peers.others()) {
    const theirs = await ask(peers, peer).catch(() => null)
    if (!theirs) return `The cell ${peer} cannot be asked what it has received.`
    if (theirs.state !== 'draining') return `The cell ${peer} has not heard yet that this one drains.`
    // Read after the other has answered: from then on it sends nothing here, and what is sent from here is not there.
    const ours = await database.query<Sums>(sumsSql, [peer])
    if (!isSettled(ours, theirs.shops)) return `Units between here and the cell ${peer} are under way.`
  }
  return null
}

function isSettled(ours: readonly Sums[], theirs: readonly Sums[]): boolean {
  const none = { sent_units: 0, sent_allowance: 0, received_units: 0, received_allowance: 0 }
  const shops = new Set([...ours, ...theirs].map(({ shop_id }) => shop_id))
  return [...shops].every((shop) => {
    const [a, b] = [ours, theirs].map((sums) => sums.find(({ shop_id }) => shop_id === shop) ?? none)
    return (
      a!.sent_units === b!.received_units &&
      a!.sent_allowance === b!.received_allowance &&
      a!.received_units === b!.sent_units &&
      a!.received_allowance === b!.sent_allowance
    )
  })
}

/** Units that each shop's peers have confirmed to have received from here, when they last answered. */
export function trackConfirmed(peers: Pick<UnitPeers, 'call' | 'others' | 'isUp'>) {
  const told = new Map<CellName, Sums[]>()
  return async (): Promise<Confirmed> => {
    const known = peers.others()
    const up = known.filter(peers.isUp)
    await Promise.all(
      up.map((peer) =>
        ask(peers, peer).then(
          ({ shops }) => void told.set(peer, shops),
          () => {},
        ),
      ),
    )
    const units = new Map<ShopId, number>()
    for (const { shop_id, received_units } of known.flatMap((peer) => told.get(peer) ?? []))
      units.set(shop_id, (units.get(shop_id) ?? 0) + received_units)
    return { peers: known, units }
  }
}
