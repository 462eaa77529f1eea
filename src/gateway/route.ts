// Which cell a request belongs to, decided from what is known before its body is read: the ids in its path, the cell that its
// key names, the topology. Pure, so that every cell of one topology decides alike; what only a body tells comes after
// (`homeOfOrder`).
import { type CellName, isCellName, parseWireId } from '../base/ids.ts'
import { refusedField } from '../base/problem.ts'
import { ownerAmong } from '../base/rendezvous.ts'
import { type Refused, refused } from '../base/result.ts'
import type { Instant } from '../base/time.ts'
import { cellNamed, regionOf, type Topology } from '../base/topology.ts'

/** What a cell knows when it decides. */
export type View = {
  topology: Topology
  self: CellName
  /** See `ownersAfter`. */
  owners: readonly CellName[]
  /** Other cells that take new orders, nearest first and those out of reach last. */
  nearest(): readonly CellName[]
  /** False for a cell that may not sell now, such as a frozen one. */
  takesNew: boolean
}

export type Asked = {
  method: string
  /** Without its query. */
  path: string
  /** `cell` and `order` of the query. */
  query: { cell?: string | undefined; order?: string | undefined }
  key: string | undefined
  /** By a peer, who has decided already: a key without a home is not sent on again. */
  isForwarded: boolean
  /** By a peer, who takes nothing new itself or knows the hold's home: placed here whatever the key says. */
  isPlacedHere: boolean
}

export type Why = 'id' | 'key' | 'owner' | 'query' | 'hold' | 'takes_nothing_new'
export type Route =
  | { kind: 'here' }
  | { kind: 'there'; cell: CellName; why: Why }
  /** Here when the key has made something here before; else there. */
  | { kind: 'here_if_known'; cell: CellName }
  | Refused

const here: Route = { kind: 'here' }

/** Paths whose further segments may be ids; SKUs and codes of locations are whatever their shop likes, even an id. */
const idPaths =
  /^\/v1\/(?:orders|holds|payments|refunds|shipments|returns|webhook-endpoints|webhook-deliveries|test-provider\/charges)\/([^/]+)/
const placingPath = /^\/v1\/(?:orders|holds)\/?$/
const orderQueryPath = /^\/v1\/(?:test-provider\/charges|ledger\/entries|webhook-deliveries)$/

/** Refused: `cell_removed`, `cell_not_found`. */
export function routeOf(asked: Asked, view: View): Route {
  const { method, path, query } = asked
  if (!path.startsWith('/v1/')) return here
  if (path === '/v1/events' && query.cell !== undefined) return toCellOfQuery(query.cell, view)
  if (method === 'POST' && placingPath.test(path)) return toPlace(asked, view)
  const id = idPaths.exec(path)?.[1] ?? (orderQueryPath.test(path) ? query.order : undefined)
  return id === undefined ? here : toHomeOf(id, view)
}

function toHomeOf(id: string, view: View): Route {
  const cell = parseWireId(id)?.cell
  const home = cell && cellNamed(view.topology, cell)
  return home ? toCell(home.name, 'id', view) : here // what never was is not found here, as anything else
}

function toCellOfQuery(name: string, view: View): Route {
  if (name === '*') return here
  const cell = isCellName(name) ? cellNamed(view.topology, name) : undefined
  return cell ? toCell(cell.name, 'query', view) : refusedField('cell_not_found', '/cell', { in: 'query' })
}

/** What a removed cell held has gone with it; whether a key was used there, nobody can say any more. */
function toCell(cell: CellName, why: Why, { topology, self }: View): Route {
  if (cell === self) return here
  if (cellNamed(topology, cell)!.state === 'removed') return refused('cell_removed', `The cell ${cell} has left.`)
  return { kind: 'there', cell, why }
}

/** A new order or hold; also each line of a bulk request. */
export function toPlace(asked: Pick<Asked, 'key' | 'isForwarded' | 'isPlacedHere'>, view: View): Route {
  const { key, isForwarded, isPlacedHere } = asked
  if (key === undefined || isPlacedHere) return here
  const named = cellOfKey(key, view.topology)
  const home = named ? toCell(named, 'key', view) : isForwarded ? here : toOwner(key, view)
  return 'kind' in home && home.kind === 'here' ? unlessClosed(key, view) : home
}

/** The name of a cell that a key begins with, whether there is such a cell or not. */
export function nameInKey(key: string): CellName | null {
  const name = key.slice(0, Math.max(0, key.indexOf('.')))
  return isCellName(name) ? name : null
}

/** The cell that a key names, if there is or was such a cell. */
function cellOfKey(key: string, topology: Topology): CellName | undefined {
  const name = nameInKey(key)
  return name === null ? undefined : cellNamed(topology, name)?.name
}

/**
 * Cells of one region share the keys that name none. By the key alone: the shop is not known before its key is looked up, and
 * each of its keys has one owner either way.
 */
function toOwner(key: string, { owners, self, topology }: View): Route {
  const present = owners.filter((name) => cellNamed(topology, name)?.state !== 'removed')
  const owner = present.length > 1 ? ownerAmong(present, key) : (present[0] ?? self)
  return owner === self ? here : { kind: 'there', cell: owner, why: 'owner' }
}

/** A cell that takes nothing new still answers for what it has taken. */
function unlessClosed(key: string, { self, topology, takesNew, nearest }: View): Route {
  const isOpen = takesNew && cellNamed(topology, self)?.state !== 'draining'
  if (isOpen) return here
  const open = activeIn(self, topology).filter((name) => name !== self)
  const next = open.length > 0 ? ownerAmong(open, key) : nearest()[0]
  return next === undefined ? here : { kind: 'here_if_known', cell: next }
}

/**
 * Where an order runs, once its body is read: with its hold. Refused: `key_names_another_cell`, `cell_removed`. A hold of no
 * cell of ours is not found here.
 */
export function homeOfOrder(holdId: string, key: string | undefined, view: Pick<View, 'topology' | 'self'>): Route {
  const { topology, self } = view
  const cell = parseWireId(holdId)?.cell
  const home = cell && cellNamed(topology, cell)
  if (!home) return here
  const named = key === undefined ? undefined : cellOfKey(key, topology)
  if (named !== undefined && named !== home.name) return refusedField('key_names_another_cell', '/hold_id')
  if (home.name === self) return here
  if (home.state === 'removed') return refused('cell_removed', `The cell ${home.name} has left.`)
  return { kind: 'there', cell: home.name, why: 'hold' }
}

export const activeIn = (self: CellName, { cells }: Topology): CellName[] =>
  cells.filter(({ name, state }) => state === 'active' && regionOf(name) === regionOf(self)).map(({ name }) => name)

/** The cells that own the region's keys, and since when the topology says something else. */
export type Owners = { names: readonly CellName[]; otherSince: Instant | null }

/**
 * Owners follow the topology only when it has said the same for `settleMs`: until then a key's earlier owner, where a first try
 * may have arrived, is asked first, and cells that have not heard of the change decide alike.
 */
export function ownersAfter(
  owners: Owners,
  active: readonly CellName[],
  { now, settleMs, isChanged }: { now: Instant; settleMs: number; isChanged: boolean },
): Owners {
  const isSame = owners.names.length === active.length && active.every((name) => owners.names.includes(name))
  if (isSame) return { names: owners.names, otherSince: null }
  const otherSince = isChanged || owners.otherSince === null ? now : owners.otherSince
  return now - otherSince >= settleMs ? { names: active, otherSince: null } : { names: owners.names, otherSince }
}
