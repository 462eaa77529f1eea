// What the topology becomes when cells are started side by side: the first one, or the next, in which they are where they listen
// now. Cells that start from equal topologies find equal ones, so that none of them has to be first.
import {
  type CellTerms,
  cellNamed,
  checkTopology,
  regionOf,
  type Topology,
  type TopologyCell,
  type TopologyProblem,
  type TopologyRules,
  topologyJson,
  withRegion,
} from './topology.ts'

/** What is known of a cell before it runs. Its terms count when it is new: after that they are the topology's. */
export type StartedCell = Pick<TopologyCell, 'name' | 'url' | 'publicKey'> & Partial<CellTerms>

/** One cell at least. `stored` is what the cell at hand knows; undefined for one that has never run. */
export function topologyAtStart(
  stored: Topology | undefined,
  started: readonly StartedCell[],
  rules: TopologyRules = {},
): Topology | TopologyProblem[] {
  const by = started[0]!.name
  if (!stored) {
    const first = { version: 1, by, zones: zonesWith([], started), cells: started.map(activeCell) }
    return checkTopology(topologyJson(first), rules)
  }
  const problems = started.flatMap((cell, at) => problemsOf(stored, cell, `/cells/${at}`))
  if (problems.length > 0) return problems
  const isChanged = started.some(({ name, url }) => cellNamed(stored, name)?.url !== url)
  if (!isChanged) return stored
  const added = started.filter(({ name }) => !cellNamed(stored, name))
  const moved = stored.cells.map((cell) => {
    const now = started.find(({ name }) => name === cell.name)
    return now ? { ...cell, url: now.url } : cell
  })
  const cells = [...moved, ...added.map(activeCell)]
  const next = { version: stored.version + 1, by, zones: zonesWith(stored.zones, added), cells }
  return checkTopology(topologyJson(next), rules)
}

function problemsOf(stored: Topology, { name, publicKey }: StartedCell, pointer: string): TopologyProblem[] {
  const known = cellNamed(stored, name)
  if (known?.state === 'removed') {
    const detail = `${name} was removed, for good: its name is not used again.`
    return [{ pointer: `${pointer}/name`, code: 'name_used', detail }]
  }
  if (!known || known.publicKey === publicKey) return []
  const detail = `${name} has another key than the topology says: its data is not what it was.`
  return [{ pointer: `${pointer}/public_key`, code: 'key_changed', detail }]
}

const activeCell = (cell: StartedCell): TopologyCell => ({
  durability: 'local',
  onIsolation: 'sell',
  standby: null,
  ...cell,
  state: 'active',
})

/** Regions that are in no zone yet are in `world`, which has no borders. */
function zonesWith(zones: Topology['zones'], cells: readonly StartedCell[]): Topology['zones'] {
  const places = cells.flatMap(({ name, standby }) => [regionOf(name), ...(standby ? [standby.region] : [])])
  return places.reduce((all, region) => {
    return all.some(({ regions }) => regions.includes(region)) ? all : withRegion(all, 'world', region)
  }, zones)
}
