// Which cells there are, where they are and how they are reached: one value that every cell has. It is checked whole, here and
// only here, whether it comes from an operator, a peer or the database. A change is its next version; of two values one is
// newer, whoever compares them. A name that was ever used stays in it, so that no id is ever read as another cell's.
import { type CellName, cellNamePattern } from './ids.ts'
import { canonicalJson, type Json, pointerToken } from './json.ts'
import { limits } from './limits.ts'

/** A place with one or more cells: their name without its number. */
export type Region = string
export type CellState = (typeof cellStates)[number]
export type TopologyCell = {
  name: CellName
  /** The origin that clients and peers call, such as `https://eu1.example.com`. */
  url: string
  /** Ed25519, 32 bytes in base64url. */
  publicKey: string
  state: CellState
  durability: Durability
  onIsolation: OnIsolation
  standby: { region: Region } | null
}
/** What a cell promises, and how. */
export type CellTerms = Pick<TopologyCell, 'durability' | 'onIsolation' | 'standby'>
/** Regions between which personal data may travel. */
export type Zone = { name: string; regions: Region[] }
/** `by`: the cell at which this version was made. */
export type Topology = { version: number; by: CellName; zones: Zone[]; cells: TopologyCell[] }

export const cellStates = ['active', 'draining', 'removed'] as const
export const durabilities = ['local', 'geo'] as const
export type Durability = (typeof durabilities)[number]
export const onIsolations = ['sell', 'stop'] as const
type OnIsolation = (typeof onIsolations)[number]

/** What is wrong, with a JSON pointer (RFC 6901) into the wire form and a sentence. The codes are stable. */
export type TopologyProblem = { pointer: string; code: TopologyProblemCode; detail: string }
export type TopologyProblemCode =
  // The shape
  | 'type'
  | 'required'
  | 'unknown_field'
  | 'format'
  | 'not_allowed'
  | 'too_small'
  | 'too_large'
  | 'too_few'
  | 'too_many'
  // What does not fit together
  | 'repeated'
  | 'region_unknown'
  | 'cell_unknown'
  | 'url_not_allowed'
  | 'url_repeated'
  | 'key_repeated'
  | 'standby_required'
  | 'standby_outside_zone'
  // What may not follow the version before
  | 'name_used'
  | 'name_dropped'
  | 'not_draining'
  | 'key_changed'
  | 'not_emptied'
  | 'lowered_elsewhere'

/** `httpAnywhere`: cells may call each other without TLS beyond loopback, as in a private network. */
export type TopologyRules = {
  httpAnywhere?: boolean
  /** There were others between the two, which were not seen: a cell may have drained in one and be removed in the next. */
  severalVersions?: boolean
}

export const topologyPatterns = {
  name: cellNamePattern,
  region: '^[a-z]([a-z0-9]{0,14}[a-z])?$',
  zone: '^[a-z][a-z0-9-]{0,31}$',
  /** 256 bits in 43 characters of six: the two lowest bits of the last are none of the key's. */
  publicKey: '^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$',
} as const

/** `eu1` is in `eu`. */
export const regionOf = (cell: CellName): Region => cell.replace(/\d+$/, '')

export const cellNamed = (topology: Topology, name: CellName): TopologyCell | undefined =>
  topology.cells.find((cell) => cell.name === name)

/** Whether personal data of one may travel to the other. */
export function isOneZone(topology: Topology, one: CellName, other: CellName): boolean {
  const [zone, otherZone] = [one, other].map((name) => zoneOf(topology, regionOf(name)))
  return zone === undefined ? regionOf(one) === regionOf(other) : zone === otherZone
}

/** It makes what every cell has from the beginning; the others receive it. */
export const firstCell = (topology: Topology): CellName =>
  (topology.cells.find(({ state }) => state !== 'removed') ?? topology.cells[0]!).name

/** The topology in its wire form, or everything that is wrong with it. */
export function checkTopology(value: Json, rules: TopologyRules = {}): Topology | TopologyProblem[] {
  const problems: TopologyProblem[] = []
  const topology = readTopology(value, problems)
  return topology && problems.length === 0 ? checked(topology, rules) : problems
}

/** snake_case, every field, in one order. */
export const topologyJson = ({ version, by, zones, cells }: Topology) => ({
  version,
  by: by as string,
  zones: zones.map(({ name, regions }) => ({ name, regions: [...regions] })),
  cells: cells.map(cellJson),
})

const cellJson = (cell: TopologyCell) => ({
  name: cell.name as string,
  url: cell.url,
  public_key: cell.publicKey,
  state: cell.state,
  durability: cell.durability,
  on_isolation: cell.onIsolation,
  standby: cell.standby && { region: cell.standby.region },
})

/**
 * The one of two that counts: the greater version, then the greater name of its maker. A cell that was set back by a backup may
 * make a version a second time; then the greater text counts, so that all cells still agree on one.
 */
export function newerTopology(a: Topology, b: Topology): Topology {
  if (a.version !== b.version) return a.version > b.version ? a : b
  if (a.by !== b.by) return a.by > b.by ? a : b
  return canonicalTopology(b) > canonicalTopology(a) ? b : a
}

export const canonicalTopology = (topology: Topology): string => canonicalJson(topologyJson(topology))

/** What an operator may want. The name of what is added must never have been used; only what drains is removed. */
export type TopologyChange =
  | { kind: 'add'; cell: TopologyCell; zone?: string } // to a region that is in no zone yet, `zone` brings it into that one
  | { kind: 'drain' | 'activate' | 'remove'; name: CellName }
  | { kind: 'set'; name: CellName; terms: Partial<CellTerms> }

/** The next version, made at `by`, or the first thing that keeps it from being. */
export function changeTopology(
  topology: Topology,
  change: TopologyChange,
  by: CellName,
  rules: TopologyRules = {},
): Topology | TopologyProblem {
  if (change.kind !== 'add') {
    const cell = cellNamed(topology, change.name)
    if (!cell) return problem('/name', 'cell_unknown', `There is no cell ${change.name}.`)
    if (cell.state === 'removed') return problem('/name', 'name_used', `${change.name} was removed, for good.`)
  }
  const next = { ...changed(topology, change), version: topology.version + 1, by }
  const found = checkNextTopology(topology, next, rules)
  return Array.isArray(found) ? found[0]! : found
}

function changed(topology: Topology, change: TopologyChange): Topology {
  const { zones, cells } = topology
  if (change.kind === 'add') {
    const cell = { ...change.cell, state: 'active' as const }
    const isPlaced = zoneOf(topology, regionOf(cell.name)) !== undefined
    const grown = isPlaced || change.zone === undefined ? zones : withRegion(zones, change.zone, regionOf(cell.name))
    return { ...topology, zones: grown, cells: [...cells, cell] }
  }
  const changes = change.kind === 'set' ? change.terms : { state: stateAfter[change.kind] }
  return { ...topology, cells: cells.map((cell) => (cell.name === change.name ? { ...cell, ...changes } : cell)) }
}

const stateAfter = { drain: 'draining', activate: 'active', remove: 'removed' } as const

/** The region in the zone of this name, which is made when there is none. */
export function withRegion(zones: readonly Zone[], name: string, region: Region): Zone[] {
  if (!zones.some((zone) => zone.name === name)) return [...zones, { name, regions: [region] }]
  return zones.map((zone) => (zone.name === name ? { name, regions: [...zone.regions, region] } : zone))
}

/** `next` as the version after `before`, or everything that is wrong with that. */
export function checkNextTopology(
  before: Topology,
  next: Topology,
  rules: TopologyRules = {},
): Topology | TopologyProblem[] {
  const found = checked(next, rules)
  const problems = [...orderProblems(before, next, rules), ...(Array.isArray(found) ? found : [])]
  return problems.length === 0 ? next : problems
}

/** A name stays for ever; what was removed stays as it was. */
function orderProblems(
  before: Topology,
  next: Topology,
  { severalVersions = false }: TopologyRules,
): TopologyProblem[] {
  const dropped = before.cells.filter(({ name }) => !cellNamed(next, name))
  const problems = dropped.map(({ name }) =>
    problem(
      '/cells',
      'name_dropped',
      `${name} is missing: a cell that goes is drained, then removed, and stays named.`,
    ),
  )
  for (const [at, cell] of next.cells.entries()) {
    const earlier = cellNamed(before, cell.name)
    const pointer = `/cells/${at}`
    if (earlier?.state === 'removed') {
      if (!isSameCell(earlier, cell))
        problems.push(problem(`${pointer}/name`, 'name_used', `${cell.name} was removed: its name is not used again.`))
    } else if (cell.state === 'removed' && earlier?.state === 'active' && !severalVersions)
      problems.push(problem(`${pointer}/state`, 'not_draining', `${cell.name} is not draining: only that is removed.`))
    const isRepeated = cellNamed(next, cell.name) !== cell
    if (earlier && earlier.state !== 'removed' && !isRepeated && earlier.publicKey !== cell.publicKey)
      problems.push(
        problem(
          `${pointer}/public_key`,
          'key_changed',
          `${cell.name} has another key: a cell keeps its own, and another one has another name.`,
        ),
      )
  }
  return problems
}

export const isSameCell = (a: TopologyCell, b: TopologyCell): boolean =>
  canonicalJson(cellJson(a)) === canonicalJson(cellJson(b))

/** Everything that does not fit together in a topology of the right shape; the topology itself when all does. */
function checked(topology: Topology, rules: TopologyRules): Topology | TopologyProblem[] {
  const problems = [
    ...versionProblems(topology.version),
    ...zoneProblems(topology),
    ...cellProblems(topology),
    ...topology.cells.flatMap((cell, at) =>
      cell.state === 'removed' ? [] : placeProblems(topology, cell, `/cells/${at}`, rules),
    ),
  ]
  return problems.length === 0 ? topology : problems
}

// The shape

type Fields = { [name: string]: Json }

/** All fields that are named must be there, and no others. */
function fieldsOf(value: Json | undefined, pointer: string, names: readonly string[], problems: TopologyProblem[]) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (value !== undefined) problems.push(problem(pointer, 'type', 'It must be an object.'))
    return undefined
  }
  for (const name of Object.keys(value)) {
    if (!names.includes(name))
      problems.push(
        problem(
          `${pointer}/${pointerToken(name)}`,
          'unknown_field',
          `There is no such field; there are ${names.join(', ')}.`,
        ),
      )
  }
  for (const name of names) {
    if (!Object.hasOwn(value, name)) problems.push(problem(`${pointer}/${name}`, 'required', `${name} is missing.`))
  }
  return value as Fields
}

function textOf(
  value: Json | undefined,
  pointer: string,
  wanted: { pattern: string; told: string },
  problems: TopologyProblem[],
) {
  if (value === undefined) return '' // told as missing
  if (typeof value !== 'string') problems.push(problem(pointer, 'type', 'It must be a string.'))
  else if (new RegExp(wanted.pattern).test(value)) return value
  else problems.push(problem(pointer, 'format', `It must be ${wanted.told}.`))
  return ''
}

function wordOf<T extends string>(
  value: Json | undefined,
  pointer: string,
  words: readonly T[],
  problems: TopologyProblem[],
): T {
  const found = words.find((word) => word === value)
  if (found === undefined && value !== undefined)
    problems.push(problem(pointer, 'not_allowed', `It must be ${words.join(' or ')}.`))
  return found ?? words[0]!
}

function itemsOf<T>(
  value: Json | undefined,
  pointer: string,
  max: number,
  problems: TopologyProblem[],
  read: (item: Json, pointer: string) => T,
): T[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    problems.push(problem(pointer, 'type', 'It must be an array.'))
    return []
  }
  if (value.length === 0) problems.push(problem(pointer, 'too_few', 'It must have one at least.'))
  if (value.length > max) {
    problems.push(problem(pointer, 'too_many', `It may have ${max} at most.`))
    return []
  }
  return value.map((item, at) => read(item, `${pointer}/${at}`))
}

const name = { pattern: topologyPatterns.name, told: 'a cell: a region and a number, such as eu1' }
const region = { pattern: topologyPatterns.region, told: 'a region: small letters and digits, a letter at both ends' }
const zone = { pattern: topologyPatterns.zone, told: 'a zone: small letters, digits and dashes' }
const publicKey = {
  pattern: topologyPatterns.publicKey,
  told: 'an Ed25519 key: 32 bytes in base64url, without padding',
}
const url = { pattern: `^[!-~]{1,${limits.cellUrlCharactersMax}}$`, told: 'an address' }

function readTopology(value: Json, problems: TopologyProblem[]): Topology | undefined {
  const fields = fieldsOf(value, '', ['version', 'by', 'zones', 'cells'], problems)
  if (!fields) return undefined
  return {
    version: versionOf(fields.version, problems),
    by: textOf(fields.by, '/by', name, problems) as CellName,
    zones: itemsOf(fields.zones, '/zones', limits.zonesMax, problems, (item, at) => readZone(item, at, problems)),
    cells: itemsOf(fields.cells, '/cells', limits.cellNamesMax, problems, (item, at) => readCell(item, at, problems)),
  }
}

function versionOf(value: Json | undefined, problems: TopologyProblem[]): number {
  if (Number.isInteger(value)) return value as number
  if (value !== undefined) problems.push(problem('/version', 'type', 'It must be a whole number.'))
  return 0
}

function readZone(value: Json, pointer: string, problems: TopologyProblem[]): Zone {
  const fields = fieldsOf(value, pointer, ['name', 'regions'], problems) ?? {}
  return {
    name: textOf(fields.name, `${pointer}/name`, zone, problems),
    regions: itemsOf(fields.regions, `${pointer}/regions`, limits.zoneRegionsMax, problems, (item, at) =>
      textOf(item, at, region, problems),
    ),
  }
}

const cellFields = ['name', 'url', 'public_key', 'state', 'durability', 'on_isolation', 'standby']

function readCell(value: Json, pointer: string, problems: TopologyProblem[]): TopologyCell {
  const fields = fieldsOf(value, pointer, cellFields, problems) ?? {}
  const standby = fields.standby ?? null
  const where = standby === null ? undefined : fieldsOf(standby, `${pointer}/standby`, ['region'], problems)
  return {
    name: textOf(fields.name, `${pointer}/name`, name, problems) as CellName,
    url: textOf(fields.url, `${pointer}/url`, url, problems),
    publicKey: textOf(fields.public_key, `${pointer}/public_key`, publicKey, problems),
    state: wordOf(fields.state, `${pointer}/state`, cellStates, problems),
    durability: wordOf(fields.durability, `${pointer}/durability`, durabilities, problems),
    onIsolation: wordOf(fields.on_isolation, `${pointer}/on_isolation`, onIsolations, problems),
    standby: where ? { region: textOf(where.region, `${pointer}/standby/region`, region, problems) } : null,
  }
}

// What must fit together

const zoneOf = ({ zones }: Topology, region: Region): Zone | undefined =>
  zones.find(({ regions }) => regions.includes(region))

function versionProblems(version: number): TopologyProblem[] {
  if (version < 1) return [problem('/version', 'too_small', 'The first version is 1.')]
  if (version <= limits.topologyVersionMax) return []
  return [problem('/version', 'too_large', `The last version is ${limits.topologyVersionMax}.`)]
}

function zoneProblems({ zones }: Topology): TopologyProblem[] {
  const names = repeatedIn(zones.map((one, at) => [`/zones/${at}/name`, one.name]))
  const regions = repeatedIn(
    zones.flatMap((one, at) => one.regions.map((text, index): Placed => [`/zones/${at}/regions/${index}`, text])),
  )
  return [
    ...names.map(([pointer, text]) => problem(pointer, 'repeated', `There are two zones ${text}.`)),
    ...regions.map(([pointer, text]) => problem(pointer, 'repeated', `The region ${text} is in a zone already.`)),
  ]
}

function cellProblems({ by, cells }: Topology): TopologyProblem[] {
  const placed = (field: string, of: (cell: TopologyCell) => string, kept: (cell: TopologyCell) => boolean) =>
    repeatedIn(cells.flatMap((cell, at): Placed[] => (kept(cell) ? [[`/cells/${at}/${field}`, of(cell)]] : [])))
  const isThere = (cell: TopologyCell): boolean => cell.state !== 'removed'
  const names = placed(
    'name',
    (cell) => cell.name,
    () => true,
  )
  // An address may be another cell's later. A key may not: who has it could still speak with it.
  const urls = placed('url', (cell) => cell.url, isThere)
  const keys = placed(
    'public_key',
    (cell) => cell.publicKey,
    () => true,
  )
  const count = cells.filter(isThere).length
  return [
    ...names.map(([pointer, text]) => problem(pointer, 'repeated', `There are two cells ${text}.`)),
    ...urls.map(([pointer, text]) => problem(pointer, 'url_repeated', `Another cell is at ${text}.`)),
    ...keys.map(([pointer]) => problem(pointer, 'key_repeated', 'Another cell has this key, or had it.')),
    ...(count === 0 ? [problem('/cells', 'too_few', 'One cell must stay.')] : []),
    ...(count > limits.cellsMax ? [problem('/cells', 'too_many', `There may be ${limits.cellsMax} cells.`)] : []),
    ...(cells.some((cell) => cell.name === by) ? [] : [problem('/by', 'cell_unknown', `There is no cell ${by}.`)]),
  ]
}

function placeProblems(
  topology: Topology,
  cell: TopologyCell,
  pointer: string,
  { httpAnywhere = false }: TopologyRules,
): TopologyProblem[] {
  const { name, durability, standby } = cell
  const problems: TopologyProblem[] = []
  const wrongUrl = urlProblem(cell.url, httpAnywhere)
  if (wrongUrl) problems.push(problem(`${pointer}/url`, 'url_not_allowed', wrongUrl))
  const home = zoneOf(topology, regionOf(name))
  if (!home) {
    const detail = `${name} is in the region ${regionOf(name)}, which is in no zone.`
    problems.push(problem(`${pointer}/name`, 'region_unknown', detail))
  }
  if (durability === 'geo' && !standby)
    problems.push(problem(`${pointer}/standby`, 'standby_required', `${name} is geo, which takes a standby.`))
  if (!standby) return problems
  const at = `${pointer}/standby/region`
  const other = zoneOf(topology, standby.region)
  if (!other) problems.push(problem(at, 'region_unknown', `The region ${standby.region} is in no zone.`))
  else if (home && other !== home) {
    const detail = `${standby.region} is in the zone ${other.name}; the data of ${name} stays in ${home.name}.`
    problems.push(problem(at, 'standby_outside_zone', detail))
  }
  return problems
}

/** Only what the URL parser would write itself, so that one address has one text. */
function urlProblem(text: string, httpAnywhere: boolean): string | undefined {
  const url = URL.parse(text)
  const isHttp = url?.protocol === 'http:'
  if (!url || !(isHttp || url.protocol === 'https:'))
    return 'It must be an http or https address, such as https://eu1.example.com.'
  if (url.origin !== text) return `It must be scheme, host and port alone, in small letters: ${url.origin}.`
  if (isHttp && !httpAnywhere && !isLoopback(url.hostname))
    return 'It must be https: what cells tell each other would be read on the way.'
  return undefined
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)

type Placed = [pointer: string, text: string]

/** Those whose text stood before. */
function repeatedIn(placed: readonly Placed[]): Placed[] {
  const seen = new Set<string>()
  return placed.filter(([, text]) => seen.size === seen.add(text).size)
}

const problem = (pointer: string, code: TopologyProblemCode, detail: string): TopologyProblem => ({
  pointer,
  code,
  detail,
})
