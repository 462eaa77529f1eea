// The auditor: recomputes every counter from closed balances and the log, and compares. It shares no code with the engine.
// Balances are closed slice by slice, each in a short transaction; the comparison is one short snapshot of what is left.
import type { CellName, ShopId } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import type { Instant } from '../../base/time.ts'
import { keepLatest, type Latest } from '../../runtime/latest.ts'
import type { Database } from '../../runtime/pg.ts'
import { StatementFailed } from '../../runtime/pg-failure.ts'
import { textArray } from '../../runtime/pg-values.ts'

/** Units over all rows of a shop. on_hand = received + returned + corrections + transferred − shipped. */
export type AuditSums = {
  received: number
  returned: number
  corrections: number
  /** From other cells, less what was sent to them. */
  transferred: number
  on_hand: number
  reserved: number
  committed: number
  shipped: number
  /** Sent to other cells that had not confirmed them when they were last heard; one that was not heard yet has confirmed none. */
  in_flight: number
}

export type AuditDifference = {
  /** Null when the log knows of a row that the table has lost. */
  sku: string | null
  location: string | null
  counter: 'on_hand' | 'reserved' | 'committed' | 'shipped' | 'transferred' | 'origin'
  /** By the log. `origin`: on_hand does not follow from what was received, returned, corrected, transferred and shipped. */
  expected: number
  actual: number | null
}

export type ShopUnits = {
  sums: AuditSums
  differences: AuditDifference[]
  /** Reserved and committed beyond what is here and may be sold without: over all rows of a SKU, since an order takes from any. */
  oversold: number
}

export type AuditResult = {
  checkedAt: Instant
  /** The log's sequence number up to which the balances were closed when the snapshot was taken. */
  seq: number
  shops: Map<ShopId, ShopUnits>
}

export type AuditDeps = {
  database: Database
  /** A sequence number of the log below which every transaction has ended. */
  settledSeq(): Promise<number>
  now(): Instant
  /** What was sent to the other cells and they have confirmed; where nobody can be asked, nothing is told to be in flight. */
  confirmed?: (() => Promise<Confirmed>) | undefined
}

/** Units by shop, and who they are that were counted. */
export type Confirmed = { peers: readonly CellName[]; units: ReadonlyMap<ShopId, number> }

// Groups of five in `moves`: row id, on hand, reserved, committed, shipped. Only adjustments and returns say where units came from.
// What is taken out of a row of the log is taken out once, behind `offset 0`: `|| '{}'` unpacks the array, which every
// subscript of a packed one would do again (a year of a real shop, 46,000 events of 33 moves: 3 s instead of more than 30 s).
const movesIn = (range: string): string => `
  select e.moves[i] as row_id, sum(e.moves[i + 1]) as on_hand, sum(e.moves[i + 2]) as reserved,
    sum(e.moves[i + 3]) as committed, sum(e.moves[i + 4]) as shipped,
    coalesce(sum(e.moves[i + 1]) filter (where e.reason = 'received'), 0) as received,
    coalesce(sum(e.moves[i + 1]) filter (where e.reason = 'returned'), 0) as returned,
    coalesce(sum(e.moves[i + 1]) filter (where e.reason in ('correction', 'counted', 'damaged', 'lost')), 0) as corrected,
    coalesce(sum(e.moves[i + 1]) filter (where e.reason = 'transferred'), 0) as transferred
  from (
    select e.moves || '{}'::bigint[] as moves, case e.type when 'stock.adjusted' then e.data ->> 'reason' when 'return.received' then 'returned' when 'stock.transferred' then 'transferred' end as reason
    from runtime.events e where ${range} offset 0
  ) e cross join lateral generate_series(1, cardinality(e.moves), 5) i group by 1`

const lockPositionSql = 'select closed_seq from stock.balance_position for update'
const closeSliceSql = `
  insert into stock.balances as b (row_id, on_hand, reserved, committed, shipped, received, returned, corrected, transferred)
  select * from (${movesIn('e.seq > $1 and e.seq <= $2')}) m
  on conflict (row_id) do update set on_hand = b.on_hand + excluded.on_hand, reserved = b.reserved + excluded.reserved,
    committed = b.committed + excluded.committed, shipped = b.shipped + excluded.shipped,
    received = b.received + excluded.received, returned = b.returned + excluded.returned,
    corrected = b.corrected + excluded.corrected, transferred = b.transferred + excluded.transferred`
const movePositionSql = 'update stock.balance_position set closed_seq = $1'

/** Closes balances over the log up to `seq`, in slices; answers how far they are closed. */
export async function closeBalances(database: Database, seq: number): Promise<number> {
  let slice: number = limits.auditSliceSeqs
  for (;;) {
    try {
      const closed = await closeSlice(database, seq, slice)
      if (closed >= seq) return closed
    } catch (error) {
      // Orders of thousands of lines move thousands of rows each: a slice of them may pass the statement's time.
      if (!isTimeout(error) || slice <= limits.auditSliceSeqsMin) throw error
      slice = Math.ceil(slice / 4)
    }
  }
}

function closeSlice(database: Database, seq: number, slice: number): Promise<number> {
  return database.transaction(async (session) => {
    const [position] = await session.run<{ closed_seq: number }>(lockPositionSql)
    const from = position!.closed_seq
    const to = Math.min(seq, from + slice)
    if (to <= from) return from
    await session.run(closeSliceSql, [from, to])
    await session.run(movePositionSql, [to])
    return to
  })
}

const isTimeout = (error: unknown): boolean => error instanceof StatementFailed && error.code === '57014'

const positionSql = 'select closed_seq from stock.balance_position'
const expectedSql = `
  select row_id, sum(on_hand) as on_hand, sum(reserved) as reserved, sum(committed) as committed, sum(shipped) as shipped,
    sum(received) as received, sum(returned) as returned, sum(corrected) as corrected, sum(transferred) as transferred
  from (select * from stock.balances union all select * from (${movesIn('e.seq > $1')}) m) parts group by 1`
const compareSql = `
  with expected as materialized (${expectedSql}), compared as (
    select r.shop_id, r.sku, r.location, r.on_hand, r.reserved, r.committed, r.shipped,
      coalesce(e.on_hand, 0) as e_on_hand, coalesce(e.reserved, 0) as e_reserved,
      coalesce(e.committed, 0) as e_committed, coalesce(e.shipped, 0) as e_shipped,
      coalesce(e.received, 0) as received, coalesce(e.returned, 0) as returned, coalesce(e.corrected, 0) as corrected,
      coalesce(e.transferred, 0) as transferred, coalesce(t.units, 0) as by_totals, coalesce(t.sent, 0) as sent
    from stock.rows r full join expected e on e.row_id = r.id left join (
      select row_id, sum(received_units - sent_units) as units, sum(sent_units) filter (where peer = any ($2::text[])) as sent
      from stock.transfers group by 1) t on t.row_id = r.id)`
const sumsSql = `${compareSql}
  select shop_id, sum(received)::bigint as received, sum(returned)::bigint as returned,
    sum(corrected)::bigint as corrections, sum(transferred)::bigint as transferred, sum(on_hand)::bigint as on_hand, sum(reserved)::bigint as reserved,
    sum(committed)::bigint as committed, sum(shipped)::bigint as shipped, sum(sent)::bigint as in_flight
  from compared where shop_id is not null group by 1`
const differencesSql = `${compareSql}
  select * from (
  select c.shop_id, c.sku, c.location, d.counter, d.expected::bigint as expected, d.actual::bigint as actual,
    row_number() over (partition by c.shop_id order by c.sku, c.location, d.counter) as place
  from compared c cross join lateral (values
    ('on_hand', c.e_on_hand, c.on_hand), ('reserved', c.e_reserved, c.reserved),
    ('committed', c.e_committed, c.committed), ('shipped', c.e_shipped, c.shipped),
    ('transferred', c.transferred, c.by_totals),
    ('origin', c.received + c.returned + c.corrected + c.transferred - c.e_shipped, c.e_on_hand)) d(counter, expected, actual)
  where d.expected is distinct from d.actual) found
  where place <= ${limits.auditDifferencesMax} order by shop_id nulls first, place`

const oversoldSql = `
  select shop_id, sum(beyond)::bigint as oversold from (
    select shop_id, sum(reserved + committed - on_hand - allowance) as beyond from stock.rows
    where tracking = 'counted' group by shop_id, sku) skus
  where beyond > 0 group by 1`

/** Runs the audit now. A row that the log knows and the table does not counts for every shop: it must not happen. */
export async function runAudit({ database, settledSeq, now, confirmed }: AuditDeps): Promise<AuditResult> {
  const received = await confirmed?.() // before the giver's total is read, which is never less
  const peers = textArray(received?.peers ?? [])
  await closeBalances(database, await settledSeq())
  return database.transaction(async (session) => {
    const [position] = await session.run<{ closed_seq: number }>(positionSql)
    const seq = position!.closed_seq
    const [sums, differences, oversold] = await Promise.all([
      session.run<AuditSums & { shop_id: ShopId }>(sumsSql, [seq, peers]),
      session.run<AuditDifference & { shop_id: ShopId | null; place: number }>(differencesSql, [seq, peers]),
      session.run<{ shop_id: ShopId; oversold: number }>(oversoldSql),
    ])
    const shops: AuditResult['shops'] = new Map()
    for (const { shop_id, ...found } of sums) {
      const inFlight = found.in_flight - (received?.units.get(shop_id) ?? 0)
      shops.set(shop_id, { sums: { ...found, in_flight: inFlight }, differences: [], oversold: 0 })
    }
    for (const one of oversold) shops.get(one.shop_id)!.oversold = one.oversold
    for (const { shop_id, place: _, ...difference } of differences) {
      const hit = shop_id === null ? [...shops.values()] : [shops.get(shop_id)!]
      for (const shop of hit) shop.differences.push(difference)
    }
    return { checkedAt: now(), seq, shops }
  }, 'snapshot')
}

type Watch = (
  work: () => Promise<AuditResult>,
  differences: (result: AuditResult) => number,
) => () => Promise<AuditResult>

/** Audits every `auditEveryMs` and keeps the last result; `fresh` runs it at once. One audit at a time, each told to `watch`. */
export const createAuditor = (deps: AuditDeps, watch: Watch = (work) => work): Latest<AuditResult> =>
  keepLatest(
    watch(
      () => runAudit(deps),
      ({ shops }) => [...shops.values()].reduce((sum, { differences }) => sum + differences.length, 0),
    ),
  )

export type Auditor = Latest<AuditResult>
