// Whether a newer topology, as another cell has it, may follow the one that is in force here. What an operator's change may not do,
// none may: a name is never lost or used again, a key never another's. Two versions that were made at once on both sides of a
// cut may both be right and yet lose something of each other: then the next version is made, which has both.
import type { CellName } from './ids.ts'
import { limits } from './limits.ts'
import {
  cellNamed,
  checkNextTopology,
  isSameCell,
  newerTopology,
  type Topology,
  type TopologyCell,
  type TopologyProblem,
  type TopologyRules,
  withRegion,
} from './topology.ts'

/** It is newer, and may follow as it is; or what was made of both, for the other cells to adopt; or why not. */
export type Following = { kind: 'as_it_is' } | { kind: 'merged'; topology: Topology } | TopologyProblem[]

export type FollowingOptions = { self: CellName; rules?: TopologyRules }

/** `offered` is whole in itself (checkTopology) and newer than `before`. */
export function whatFollows(before: Topology, offered: Topology, { self, rules = {} }: FollowingOptions): Following {
  const problems = [...versionProblems(before, offered), ...cellProblems(before, offered, self)]
  if (problems.length > 0) return problems
  const cells = withOurs(before, offered)
  if (cells === offered.cells) return { kind: 'as_it_is' }
  const merged: Topology = {
    ...offered,
    version: offered.version + 1,
    by: self,
    zones: zonesOf(before, offered),
    cells,
  }
  const found = checkNextTopology(before, merged, { ...rules, severalVersions: true })
  return Array.isArray(found) ? found : { kind: 'merged', topology: found }
}

/** Those that `next` takes away for good. */
export const removedBy = (before: Topology, next: Topology): TopologyCell[] =>
  next.cells.filter(
    ({ name, state }) => state === 'removed' && (cellNamed(before, name)?.state ?? 'removed') !== 'removed',
  )

/** Those whose answers, as `next` has it, wait for nobody any more. */
export const loweredBy = (before: Topology, next: Topology): TopologyCell[] =>
  next.cells.filter(({ name, durability }) => durability === 'local' && cellNamed(before, name)?.durability === 'geo')

/** The last version is the last one that could be made: nobody jumps there. */
function versionProblems({ version }: Topology, offered: Topology): TopologyProblem[] {
  const max = version + limits.topologyVersionsAheadMax
  if (offered.version <= max) return []
  const detail = `Version ${offered.version} is too far ahead of ${version}.`
  return [{ pointer: '/version', code: 'too_large', detail }]
}

function cellProblems(before: Topology, offered: Topology, self: CellName): TopologyProblem[] {
  if (!cellNamed(offered, self))
    return [{ pointer: '/cells', code: 'cell_unknown', detail: `It knows no ${self}: it is another system’s.` }]
  const lowered = loweringProblems(before, offered, self)
  if (lowered.length > 0) return lowered
  return offered.cells.flatMap(({ name, publicKey }, at) => {
    const earlier = cellNamed(before, name)
    if (!earlier || earlier.publicKey === publicKey) return []
    return [{ pointer: `/cells/${at}/public_key`, code: 'key_changed', detail: `${name} has another key in it.` }]
  })
}

/**
 * That this cell need not wait for its standby any more is said in its own database first, where its processes read it before anybody
 * else tells them. Whoever hears it elsewhere first is an old primary: it would answer alone. It makes no version of its own of it
 * either, which the others would take, and by which the present primary would wait for a standby again that it does not have.
 */
function loweringProblems(before: Topology, offered: Topology, self: CellName): TopologyProblem[] {
  const own = loweredBy(before, offered).find(({ name, state }) => name === self && state !== 'removed')
  if (!own) return []
  const at = offered.cells.indexOf(own)
  const detail = `It makes ${self} local, and its own database says geo: only there may that be said.`
  return [{ pointer: `/cells/${at}/durability`, code: 'lowered_elsewhere', detail }]
}

/** The cells of `offered` itself where nothing of ours is lost by it: a name that it does not have, or one that was removed here. */
function withOurs(before: Topology, offered: Topology): TopologyCell[] {
  const cells = offered.cells.map((cell) => {
    const ours = cellNamed(before, cell.name)
    return ours?.state === 'removed' && !isSameCell(ours, cell) ? ours : cell
  })
  const missing = before.cells.filter(({ name }) => !cellNamed(offered, name))
  const isChanged = missing.length > 0 || cells.some((cell, at) => cell !== offered.cells[at])
  return isChanged ? [...cells, ...missing] : offered.cells
}

/** Those of `offered`, and the regions that only we have. */
function zonesOf(before: Topology, offered: Topology): Topology['zones'] {
  const known = new Set(offered.zones.flatMap(({ regions }) => regions))
  const missing = before.zones.flatMap(({ name, regions }) => {
    const own = regions.filter((region) => !known.has(region))
    return own.length > 0 ? [{ name, regions: own }] : []
  })
  return missing
    .flatMap(({ name, regions }) => regions.map((region) => ({ name, region })))
    .reduce((zones, { name, region }) => withRegion(zones, name, region), offered.zones)
}

export const isNewer = (one: Topology, other: Topology): boolean => one !== other && newerTopology(other, one) === one
