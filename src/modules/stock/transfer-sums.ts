// What went between two cells in all, as each of them has booked it. Totals only grow, and nothing is received that was not sent, so
// that equal sums mean that nothing is under way; one number a shop says it for any number of SKUs.
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { CellName, ShopId } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { closed, oneOf } from '../../base/schemas.ts'
import type { Instant } from '../../base/time.ts'
import { type CellState, cellNamed, cellStates, type Topology } from '../../base/topology.ts'
import { RefusedRequest } from '../../runtime/http.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Session } from '../../runtime/pg-session.ts'
import { textArray } from '../../runtime/pg-values.ts'
import type { UnitPeers } from './allotments.ts'
import type { Confirmed } from './audit.ts'
import { readLeaving } from './store.ts'

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
  select t.peer, r.shop_id, sum(t.sent_units)::bigint as sent_units, sum(t.sent_allowance)::bigint as sent_allowance,
    sum(t.received_units)::bigint as received_units, sum(t.received_allowance)::bigint as received_allowance
  from stock.transfers t join stock.rows r on r.id = t.row_id where t.peer = any ($1::text[])
  group by 1, 2 order by 1, 2`

/** By peer, all at one moment. */
async function readSums(database: Reader, peers: readonly CellName[]): Promise<Map<CellName, Sums[]>> {
  const rows = await database.query<Sums & { peer: CellName }>(sumsSql, [textArray(peers)])
  const byPeer = Map.groupBy(rows, ({ peer }) => peer)
  return new Map(peers.map((one) => [one, (byPeer.get(one) ?? []).map(({ peer: _, ...sums }) => sums)]))
}

const SumsMessage = closed({ leaving: Type.Optional(Type.Boolean()) })
const checkMessage = Compile(SumsMessage)

type SumsOptions = {
  /** As others may be told of it. */
  told: Reader
  topology: { current(): Topology }
  /** Runs when the batches before it have ended, and is seen by those after. */
  betweenBatches(work: (session: Session) => Promise<unknown>): Promise<void>
}

/**
 * The handler of the message `transfer-sums`. To one that drains and has nothing left nothing is sent from then on: not what it
 * asked for before, nor its part of what was being split. So the sums that it is told are the last.
 */
export const transferSumsHandler =
  ({ told, topology, betweenBatches }: SumsOptions) =>
  async (from: CellName, body: Json): Promise<Json> => {
    if (!checkMessage.Check(body)) throw new RefusedRequest(refused('invalid_body', 'It asks for no sums.'))
    const { state } = cellNamed(topology.current(), from)!
    const isMarked = async () => (await readLeaving({ run: told.query })).some(({ peer }) => peer === from)
    if (body.leaving && state === 'draining' && !(await isMarked()))
      await betweenBatches((session) => session.run(addLeavingSql, [from]))
    return { state, shops: (await readSums(told, [from])).get(from)! }
  }

const addLeavingSql = 'insert into stock.leaving (peer) values ($1) on conflict do nothing'
const forgetLeavingSql = 'delete from stock.leaving where peer = any ($1::text[])'

/** Those that are active again are sent units again; to be called now and then. */
export async function forgetLeaving(database: Pick<Database, 'query' | 'transaction'>, topology: Topology) {
  const marked = await readLeaving({ run: database.query })
  const back = marked.map(({ peer }) => peer).filter((peer) => cellNamed(topology, peer)?.state === 'active')
  if (back.length === 0) return
  await database.transaction(async (session) => void (await session.run(forgetLeavingSql, [textArray(back)])))
}

type Told = { state: CellState; shops: Sums[] }

async function ask(peers: Pick<UnitPeers, 'call'>, peer: CellName, body: { leaving?: true }): Promise<Told> {
  const answer = await peers.call(peer, 'transfer-sums', body, { deadlineMs: limits.askMsMax })
  if (!checkSums.Check(answer)) throw new Error(`${peer} answered a question for sums with something else`)
  return answer as Told
}

type Leaving = {
  database: Reader
  peers: Pick<UnitPeers, 'call' | 'others'>
  /** What of the cell itself is left. */
  whatIsLeft(): Promise<string | null>
}

/**
 * What keeps a draining cell of which nothing is left from leaving: a peer that does not know that it drains, or between whom and
 * it something is under way. When all have answered none of them sends it anything more; what came meanwhile is here then, or on
 * its way to another, whose answer knows nothing of it: so it is looked first what is left, and then at all sums at one moment.
 */
export async function unsettledWith({ database, peers, whatIsLeft }: Leaving): Promise<string | null> {
  const others = peers.others()
  const told = new Map<CellName, Told>()
  for (const peer of others) {
    const theirs = await ask(peers, peer, { leaving: true }).catch(() => null)
    if (!theirs) return `The cell ${peer} cannot be asked what it has received.`
    if (theirs.state !== 'draining') return `The cell ${peer} has not heard yet that this one drains.`
    told.set(peer, theirs)
  }
  const left = await whatIsLeft()
  if (left !== null) return left
  const ours = await readSums(database, others)
  const unsettled = others.find((peer) => !isSettled(ours.get(peer)!, told.get(peer)!.shops))
  return unsettled === undefined ? null : `Units between here and the cell ${unsettled} are under way.`
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

type Unconfirmed = { database: Reader; peers: Pick<UnitPeers, 'call' | 'others' | 'isUp'>; now(): Instant }

/**
 * Since when peers have not confirmed all that was sent to them, as far as it was looked. What was sent is read before they are asked,
 * so that units which are merely on their way count for one look at most.
 */
export function trackUnconfirmed({ database, peers, now }: Unconfirmed) {
  const since = new Map<CellName, Instant>()
  return async (): Promise<ReadonlyMap<CellName, Instant>> => {
    const others = peers.others()
    const ours = await readSums(database, others)
    const look = async (peer: CellName): Promise<void> => {
      const sent = ours.get(peer)!.filter(({ sent_units }) => sent_units > 0)
      const told = sent.length > 0 && peers.isUp(peer) ? await ask(peers, peer, {}).catch(() => null) : null
      if (sent.length > 0 && told === null) return // as it was: nothing was learnt
      const has = (one: Sums) => told!.shops.find(({ shop_id }) => shop_id === one.shop_id)?.received_units ?? 0
      if (sent.every((one) => has(one) >= one.sent_units)) since.delete(peer)
      else if (!since.has(peer)) since.set(peer, now())
    }
    await Promise.all(others.map(look))
    for (const peer of since.keys()) if (!others.includes(peer)) since.delete(peer)
    return since
  }
}

/** Units that each shop's peers have confirmed to have received from here, when they last answered. */
export function trackConfirmed(peers: Pick<UnitPeers, 'call' | 'others' | 'isUp'>) {
  const told = new Map<CellName, Sums[]>()
  return async (): Promise<Confirmed> => {
    const known = peers.others()
    const up = known.filter(peers.isUp)
    await Promise.all(
      up.map((peer) =>
        ask(peers, peer, {}).then(
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
