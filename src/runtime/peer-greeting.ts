// What cells say to each other every half second: which life of its database the speaker is, after which, and whether it answers, what time it
// is there, and which topology it has. When two have different ones both say theirs whole, and the newer is kept on both sides.
import { hash } from 'node:crypto'
import type { CellName, Uuid } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { instant } from '../base/time.ts'
import {
  canonicalTopology,
  checkTopology,
  type Topology,
  type TopologyProblem,
  type TopologyRules,
  topologyJson,
} from '../base/topology.ts'
import { removedBy } from '../base/topology-following.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { SaidLife } from './peer-lives.ts'

/** `topology` is the wire form, not checked yet; absent while the two have the same. */
export type Greeting = SaidLife & {
  isWell: boolean
  topologyHash: string
  topology: Json | undefined
}

export type GreetingOptions = {
  topology: { current(): Topology; offer(topology: Topology): Promise<TopologyProblem[]> }
  /** For what a peer offers. */
  rules?: TopologyRules
  /** The present life of this cell's database. */
  incarnation(): Uuid
  /** Those before it, oldest first. */
  ancestors(): readonly Uuid[]
  /** Whether that answers. */
  isWell(): boolean
  clock: Pick<Clock, 'now'>
  log: Pick<Log, 'warn'>
}

const hashes = new WeakMap<Topology, string>()

/** Of equal topologies equal, whatever their version says: a cell that was set back may have made a version a second time. */
export function hashOfTopology(topology: Topology): string {
  const known = hashes.get(topology)
  if (known !== undefined) return known
  const made = hash('sha256', canonicalTopology(topology), 'base64url')
  hashes.set(topology, made)
  return made
}

export function greetingJson(options: GreetingOptions, isWhole: boolean): Json {
  const { topology, incarnation, ancestors, isWell, clock } = options
  const current = topology.current()
  return {
    incarnation: incarnation(),
    ancestors: ancestors().slice(-limits.peerLivesRememberedMax),
    now: clock.now(),
    well: isWell(),
    topology_version: current.version,
    topology_hash: hashOfTopology(current),
    ...(isWhole ? { topology: topologyJson(current) } : {}),
  }
}

const isText = (value: Json): value is string => typeof value === 'string'

/** Undefined when it is none. What a later version says besides is left out. */
export function readGreeting(value: Json): Greeting | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { incarnation, now, well, topology_hash: topologyHash, topology } = value
  if (typeof incarnation !== 'string' || typeof now !== 'number' || typeof topologyHash !== 'string') return undefined
  const ancestors = Array.isArray(value.ancestors) ? value.ancestors.filter(isText) : []
  return {
    incarnation: incarnation as Uuid,
    ancestors: ancestors.slice(-limits.peerLivesRememberedMax) as Uuid[],
    now: instant(now),
    isWell: well !== false,
    topologyHash,
    topology,
  }
}

/**
 * Takes what a greeting brings, if it is newer and may follow. What is refused is told once; it comes again with each greeting. `speaks`:
 * the cell was heard just now. One that speaks was not removed, unless it says so itself.
 */
export function topologyAdopter(options: GreetingOptions, speaks: (cell: CellName) => boolean) {
  const { topology, rules, log } = options
  const told = new Map<CellName, string>()

  async function problemsOf(from: CellName, offered: Json): Promise<TopologyProblem[]> {
    const found = checkTopology(offered, rules)
    if (Array.isArray(found)) return found
    const alive = removedBy(topology.current(), found).find(({ name }) => name !== from && speaks(name))
    if (!alive) return topology.offer(found)
    const detail = `It removes ${alive.name}, which answers and does not say so.`
    return [{ pointer: '/cells', code: 'not_emptied', detail }]
  }

  return async (from: CellName, said: Greeting): Promise<void> => {
    if (said.topology === undefined) return
    try {
      const problems = await problemsOf(from, said.topology)
      if (problems.length === 0 || told.get(from) === said.topologyHash) return
      told.set(from, said.topologyHash)
      log.warn({ peer: from, problems }, 'a topology that is refused')
    } catch (err) {
      log.warn({ err, peer: from }, 'a newer topology could not be stored')
    }
  }
}
