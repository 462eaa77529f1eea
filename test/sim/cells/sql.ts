// The few statements that parts which are not the engine send, answered from the memory tables. Which statement it is, its own words tell.
import type { CellName, ShopId, Sku } from '../../../src/base/ids.ts'
import type { MemoryTables } from '../../../src/modules/orders/memory-database.ts'
import type { StockRow, Transfer } from '../../../src/modules/stock/types.ts'
import type { Database } from '../../../src/runtime/pg.ts'

type Param = unknown

/** `tablesOf`: as they are when the statement runs. */
export function memorySql(tablesOf: () => MemoryTables): Database['query'] {
  const answers: [string, (params: readonly Param[]) => unknown[]][] = [
    ['sum(t.sent_units)', ([peers]) => cellsIn(peers).flatMap((peer) => sumsWith(tablesOf(), peer))],
    ['limit $5', ([peer, ...after]) => totalsWith(tablesOf(), peer as CellName).filter((one) => isBehind(one, after))],
    ['select peer from stock.leaving', () => [...tablesOf().leaving].map((peer) => ({ peer }))],
    // Of more places than were asked for: who asks looks for those.
    ['from unnest($2::integer[]', ([peer]) => totalsWith(tablesOf(), peer as CellName)],
    ['from stock.policies p join stock.rows', () => []], // no policy here names regions
    ['max(r.id) as id', ([after]) => freeSkus(tablesOf(), Number(after))],
  ]
  return async (text: string, params: readonly Param[] = []) => {
    const answer = answers.find(([words]) => text.includes(words))
    if (!answer) throw new Error(`the simulator has no answer to: ${text}`)
    return answer[1](params) as never
  }
}

/** Of an array as PostgreSQL takes it. */
const cellsIn = (param: Param): CellName[] => (String(param).match(/[a-z0-9]+/g) ?? []).map((name) => name as CellName)

const withPlace = (tables: MemoryTables, transfer: Transfer) => ({ ...transfer, place: tables.rows.get(transfer.row)! })

function totalsWith(tables: MemoryTables, peer: CellName) {
  return [...tables.transfers.values()]
    .filter((one) => one.peer === peer)
    .map((one) => withPlace(tables, one))
    .map(({ place, ...one }) => ({
      ...{ shop_id: place.shopId, sku: place.sku, location: place.location },
      ...{ sent_units: one.sentUnits, sent_allowance: one.sentAllowance },
      ...{ received_units: one.receivedUnits, received_allowance: one.receivedAllowance },
    }))
    .toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
}

const placeOf = ({ sku, location }: { sku: Sku; location: string }): string => `${sku}\n${location}`

const isBehind = (one: ReturnType<typeof totalsWith>[number], [, sku, location]: readonly Param[]): boolean =>
  placeOf(one) > `${sku}\n${location}`

function sumsWith(tables: MemoryTables, peer: CellName) {
  const totals = totalsWith(tables, peer)
  const sum = (name: 'sent_units' | 'sent_allowance' | 'received_units' | 'received_allowance') =>
    totals.reduce((all, one) => all + one[name], 0)
  if (totals.length === 0) return []
  const sent = { sent_units: sum('sent_units'), sent_allowance: sum('sent_allowance') }
  const received = { received_units: sum('received_units'), received_allowance: sum('received_allowance') }
  return [{ peer, shop_id: totals[0]!.shop_id, ...sent, ...received }]
}

const isFree = (row: StockRow): boolean =>
  row.onHand + row.allowance > row.reserved + row.committed + row.missing && (row.onHand > 0 || row.allowance > 0)

function freeSkus(tables: MemoryTables, after: number): { shop_id: ShopId; sku: Sku; id: number }[] {
  const rows = [...tables.rows.values()].filter((row) => row.id > after && isFree(row))
  return [...Map.groupBy(rows, ({ sku }) => sku)].map(([sku, of]) => ({
    ...{ shop_id: of[0]!.shopId, sku },
    id: Math.max(...of.map(({ id }) => id)),
  }))
}
