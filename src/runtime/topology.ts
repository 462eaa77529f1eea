// The topology as a process has it: kept in the database, so that the processes of a cell agree and a restart remembers it. In
// the table, in memory and for every listener it only ever becomes newer.
import type { CellName } from '../base/ids.ts'
import { parseJson } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import {
  canonicalTopology,
  cellNamed,
  checkTopology,
  newerTopology,
  type Topology,
  type TopologyProblem,
  type TopologyRules,
} from '../base/topology.ts'
import { isNewer, removedBy, whatFollows } from '../base/topology-following.ts'
import { every } from './every.ts'
import { keepLatest } from './latest.ts'
import type { Database } from './pg.ts'
import { StartFailure } from './start-failure.ts'

export type TopologyKeeper = {
  current(): Topology
  /** How long ago a look at what is stored began, of which the last one that succeeded is meant. */
  lookedMsAgo(): number
  /** None was stored when this process began: no other has acted on one. */
  readonly isFirst: boolean
  /** Adopts what is stored, if it is newer; begins after the call. */
  look(): Promise<void>
  /**
   * Stores it and adopts it if it is newer and may follow; where each has something that the other has not, the next version is made,
   * which has both. Answers why it may not follow; nothing then became of it.
   */
  offer(topology: Topology): Promise<TopologyProblem[]>
  /** Makes `next` of `before`. False when `before` is not what is stored any more, and nothing was done. */
  change(before: Topology, next: Topology): Promise<boolean>
  /** Told of each one that is adopted from now on. Answers how to be told no more. */
  onChange(listener: (topology: Topology) => void): () => void
  stop(): Promise<void>
}

type Started = Topology | TopologyProblem[]

export type KeepTopologyOptions = {
  cell: CellName
  database: Pick<Database, 'query' | 'transaction'>
  /** What counts from now on, given what is stored; what is wrong with it keeps the cell from starting. */
  atStart(stored: Topology | undefined): Started | Promise<Started>
  /** What of this cell is in flight, that it may not be removed; null when nothing is. */
  whyNotEmptied(): Promise<string | null>
  rules?: TopologyRules
  onError(error: unknown): void
}

const readSql = 'select topology from runtime.topology'
const offerSql = `
  insert into runtime.topology as kept (version, made_by, topology) values ($1, $2, $3)
  on conflict (one_row) do update set version = excluded.version, made_by = excluded.made_by,
    topology = excluded.topology, changed_at = clock_timestamp()
  where (kept.version, kept.made_by, kept.topology) < (excluded.version, excluded.made_by, excluded.topology)
  returning xmax = 0 as inserted`
const changeSql = `
  update runtime.topology set version = $1, made_by = $2, topology = $3, changed_at = clock_timestamp()
  where (version, made_by, topology) = ($4, $5, $6) returning version`

export async function keepTopology(options: KeepTopologyOptions): Promise<TopologyKeeper> {
  const { cell, database, atStart, whyNotEmptied, rules, onError } = options
  const listeners = new Set<(topology: Topology) => void>()
  let isFirst = false
  let lookedAtMs = performance.now()
  let current = await begin()

  async function begin(): Promise<Topology> {
    const found = await atStart(await readTopology(database))
    if (Array.isArray(found)) throw new StartFailure('topology_refused', found[0]!.detail)
    if (!cellNamed(found, cell))
      throw new StartFailure(
        'topology_refused',
        `There is no cell ${cell} in the topology: its data is another cell’s.`,
      )
    const [stored] = await store(database, found)
    const known = (await readTopology(database)) ?? found // another process may have known better
    isFirst = stored?.inserted === true && !isNewer(known, found)
    return known
  }

  function adopt(topology: Topology): void {
    if (newerTopology(current, topology) === current) return
    current = topology
    for (const listener of listeners) listener(topology)
  }

  /** A database that was set back is told what this process knows. */
  async function agree(): Promise<void> {
    const startedMs = performance.now()
    const stored = await readTopology(database)
    if (!stored || isNewer(current, stored)) await store(database, current)
    else adopt(stored)
    lookedAtMs = Math.max(lookedAtMs, startedMs)
  }

  async function change(before: Topology, next: Topology): Promise<boolean> {
    const params = [...paramsOf(next), ...paramsOf(before)]
    const changed = await database.transaction((session) => session.run(changeSql, params))
    if (changed.length === 0) await agree()
    else adopt(next)
    return changed.length > 0
  }

  /** Only the cell itself knows what of it is in flight. */
  async function removalProblems(next: Topology): Promise<TopologyProblem[]> {
    if (!removedBy(current, next).some(({ name }) => name === cell)) return []
    const why = await whyNotEmptied()
    return why === null ? [] : [{ pointer: '/cells', code: 'not_emptied', detail: `It removes ${cell}. ${why}` }]
  }

  async function follow(offered: Topology): Promise<TopologyProblem[]> {
    if (!isNewer(offered, current)) return []
    await agree() // another process may have made it, or a newer one
    if (!isNewer(offered, current)) return []
    const following = whatFollows(current, offered, { self: cell, rules })
    if (Array.isArray(following)) return following
    const problems = await removalProblems(offered)
    if (problems.length > 0) return problems
    if (following.kind === 'merged') await change(current, following.topology)
    else {
      await store(database, offered)
      adopt(offered)
    }
    return []
  }

  const latest = keepLatest(agree)
  const watching = every(limits.topologyPollMs, agree, onError)
  return {
    current: () => current,
    lookedMsAgo: () => performance.now() - lookedAtMs,
    isFirst,
    look: () => latest.result({ fresh: true }),
    offer: follow,
    change,
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    stop: watching.stop,
  }
}

const store = (database: Pick<Database, 'transaction'>, topology: Topology) =>
  database.transaction((session) => session.run<{ inserted: boolean }>(offerSql, paramsOf(topology)))

/** As it was checked when it was stored; whether http was allowed then is not asked again. Undefined where no cell has begun yet. */
export async function readTopology(database: Pick<Database, 'query'>): Promise<Topology | undefined> {
  const [row] = await database.query<{ topology: string }>(readSql)
  if (!row) return undefined
  const parsed = parseJson(row.topology)
  const found = parsed.ok ? checkTopology(parsed.value, { httpAnywhere: true }) : []
  if (Array.isArray(found)) throw new Error(`the stored topology is none: ${JSON.stringify(found)}`)
  return found
}

const paramsOf = (topology: Topology) => [topology.version, topology.by, canonicalTopology(topology)]
