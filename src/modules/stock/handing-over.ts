// Units that are to go to other cells for good: all of a cell that drains, and those of SKUs that its region may not sell. It is
// found out anew each time, so that whatever was interrupted, given back or bought meanwhile is seen.
import type { CellName, ShopId, Sku } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { type Region, regionOf } from '../../base/topology.ts'
import type { Database } from '../../runtime/pg.ts'
import type { Allotments, UnitPeers } from './allotments.ts'
import type { OtherCells } from './other-cells.ts'
import type { HandOverUnits, Sent } from './types.ts'

export type HandingOverOptions = {
  cell: CellName
  database: Pick<Database, 'query'>
  peers: Pick<UnitPeers, 'isActive'>
  sharesOf: Allotments['sharesOf']
  deliver: OtherCells['deliver']
  handOver(command: HandOverUnits): Promise<Sent>
}

const free = `(r.tracking = 'none' and r.on_hand > 0
  or r.on_hand + r.allowance > r.reserved + r.committed + r.missing and (r.on_hand > 0 or r.allowance > 0))`
const allFreeSql = `
  select r.shop_id, r.sku, max(r.id) as id from (
    select * from stock.rows r where r.id > $1 and ${free} order by r.id limit $2) r
  group by 1, 2`
const notSoldHereSql = `
  select distinct r.shop_id, r.sku from stock.policies p join stock.rows r using (shop_id, sku)
  where p.regions is not null and $1 <> all (p.regions) and ${free} limit $2`

type Free = { shop_id: ShopId; sku: Sku }

/** Hands over what is free now; to be called now and then. */
export async function handOverUnits(options: HandingOverOptions): Promise<void> {
  const { cell, database, peers } = options
  if (peers.isActive(cell)) {
    const region: Region = regionOf(cell)
    await handOverOf(options, await database.query<Free>(notSoldHereSql, [region, limits.handOverSkusMax]), false)
    return
  }
  for (let after = 0; ; ) {
    const found = await database.query<Free & { id: number }>(allFreeSql, [after, limits.handOverSkusMax])
    if (found.length === 0 || !(await handOverOf(options, found, true))) return
    after = Math.max(...found.map(({ id }) => id))
  }
}

/** False when there is nobody to take them. */
async function handOverOf(
  { sharesOf, handOver, deliver, cell }: HandingOverOptions,
  found: readonly Free[],
  isLeaving: boolean,
): Promise<boolean> {
  const commands = found.flatMap(({ shop_id: shopId, sku }) => {
    const shares = sharesOf(shopId, sku)?.filter((share) => share.cell !== cell)
    return shares ? [{ kind: 'hand_over_units', shopId, sku, shares, isLeaving } as const] : []
  })
  const sent = await Promise.all(commands.map(handOver))
  const moved = commands.filter((_, at) => sent[at]!.given > 0)
  for (const [shopId, of] of Map.groupBy(moved, (one) => one.shopId)) {
    await deliver(
      shopId,
      of.map(({ sku }) => sku),
    )
  }
  return commands.length > 0
}
