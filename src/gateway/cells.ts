// Routes of the topology: what an operator sees of the cells from this one, and how the next version is made here. They are the
// system's, not a shop's.
import type { FastifyInstance, FastifyReply } from 'fastify'
import { type Static, Type } from 'typebox'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Refused, refused } from '../base/result.ts'
import { closed, nullable, oneOf, ref, Time } from '../base/schemas.ts'
import { type Instant, toRfc3339 } from '../base/time.ts'
import {
  cellStates,
  checkNextTopology,
  checkTopology,
  durabilities,
  onIsolations,
  regionOf,
  type Topology,
  type TopologyCell,
  type TopologyProblem,
  type TopologyRules,
  topologyJson,
  topologyPatterns,
} from '../base/topology.ts'
import { loweredBy, removedBy } from '../base/topology-following.ts'
import type { Guard } from '../modules/shops/types.ts'
import { etagOf, ifMatchOf, sendJson, sendRefused } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { TopologyKeeper } from '../runtime/topology.ts'

const Region = Type.String({ pattern: topologyPatterns.region, description: 'A cell’s name without its number.' })
const Zone = closed({
  name: Type.String({ pattern: topologyPatterns.zone }),
  regions: Type.Array(Region, { minItems: 1, maxItems: limits.zoneRegionsMax }),
})
const standby = closed({ region: Region })
const Cell = closed({
  name: Type.String({ pattern: topologyPatterns.name }),
  url: Type.String({
    minLength: 1,
    maxLength: limits.cellUrlCharactersMax,
    description: 'Scheme, host and port, as clients and the other cells call it.',
  }),
  public_key: Type.String({ pattern: topologyPatterns.publicKey, description: 'Ed25519, 32 bytes in base64url.' }),
  state: oneOf(cellStates, { description: '`removed` stays, so that the name is never used again.' }),
  durability: oneOf(durabilities, { description: '`geo`: nothing is answered before a standby has it.' }),
  on_isolation: oneOf(onIsolations, { description: '`stop`: it takes no orders while it hears no other cell.' }),
  standby: nullable<Static<typeof standby>>(standby),
})
const parts = {
  zones: Type.Array(Zone, {
    minItems: 1,
    maxItems: limits.zonesMax,
    description: 'Personal data and its standbys stay in a zone.',
  }),
  cells: Type.Array(Cell, { minItems: 1, maxItems: limits.cellNamesMax }),
}
const TopologyBody = closed(parts)

const CellStatus = Type.Object({
  name: Type.String(),
  region: Type.String(),
  zone: Type.String(),
  state: oneOf(['active', 'draining']),
  url: Type.String(),
  reachable: Type.Boolean({ description: 'As the answering cell finds it.' }),
  last_heard_at: nullable<string>(Time),
  round_trip_ms: nullable<number>({ type: 'number', description: 'Null when it is not known.' }),
  data_as_of: nullable<string>(
    Type.String({
      format: 'date-time',
      description: 'How old its shops, keys, settings, locations and policies are here.',
    }),
  ),
  emptied: nullable<boolean>({
    type: 'boolean',
    description:
      'Whether a draining cell has nothing in flight, and may be removed. Each cell knows it of itself alone.',
  }),
})
/** Named in OpenAPI. */
export const components = {
  Topology: Type.Object({ version: Type.Integer(), by: Type.String({ description: 'Where it was made.' }), ...parts }),
  CellStatus,
  CellList: Type.Object({
    topology: ref('Topology'),
    data: Type.Array(ref('CellStatus')),
    next_cursor: Type.Null({ description: 'All are on one page.' }),
  }),
}

/** What this cell knows of the others. */
export type CellsHeard = {
  isUp(cell: CellName): boolean
  /** 0 when not known. */
  rttMs(cell: CellName): number
  /** As of when this cell has its shops, keys, settings, locations and policies; null when not known. */
  dataAsOf(cell: CellName): Instant | null
  lastHeardAt(cell: CellName): Instant | null
}

export type CellRoutesOptions = {
  cell: CellName
  guard: Guard
  topology: Pick<TopologyKeeper, 'current' | 'change'>
  peers: CellsHeard
  /** What of this cell is in flight, as a sentence; null when nothing is. */
  whyNotEmptied(): Promise<string | null>
  rules: TopologyRules
  now(): Instant
}

export function cellRoutes(app: FastifyInstance, options: CellRoutesOptions): void {
  const { guard, topology } = options
  app.get(
    '/v1/cells',
    {
      onRequest: guard.allow('cells:read'),
      schema: documented({
        operationId: 'listCells',
        summary: 'The topology, and what this cell knows of each',
        description: 'Its ETag is that of the topology. Cells that were removed stand in the topology alone.',
        tags: ['cells'],
        answers: { 200: ref('CellList') },
      }),
    },
    async (_, reply) => {
      const current = topology.current()
      const there = current.cells.filter(({ state }) => state !== 'removed')
      const data = await Promise.all(there.map((one) => statusOf(options, current, one)))
      return sendVersioned(reply, current, { topology: topologyJson(current), data, next_cursor: null })
    },
  )

  app.put<{ Body: Static<typeof TopologyBody> }>(
    '/v1/topology',
    {
      onRequest: guard.allow('cells:write'),
      schema: documented({
        operationId: 'putTopology',
        summary: 'Make the next version of the topology',
        description:
          'Whole, over the version that If-Match names; the other cells hear of it by themselves, and act on it without a restart. A cell that goes is first set to `draining`; when it has `emptied`, it is set to `removed` by this request to itself. A `geo` cell is made `local` by this request to itself too.',
        tags: ['cells'],
        versioned: true,
        body: TopologyBody,
        answers: { 200: ref('Topology') },
        refusals: [
          'topology_invalid',
          'precondition_failed',
          'precondition_required',
          'cell_not_here',
          'cell_not_emptied',
        ],
      }),
    },
    async (request, reply) => {
      const ifVersion = ifMatchOf(request)
      if (ifVersion === null) return sendRefused(reply, refused('precondition_required'))
      const before = topology.current()
      if (ifVersion !== before.version) return sendRefused(reply, refused('precondition_failed'))
      const next = nextTopology(options, before, request.body)
      if ('ok' in next) return sendRefused(reply, next)
      const refusal = await refusedHere(options, before, next)
      if (refusal) return sendRefused(reply, refusal)
      if (!(await topology.change(before, next))) return sendRefused(reply, refused('precondition_failed'))
      return sendVersioned(reply, next, topologyJson(next))
    },
  )
}

const sendVersioned = (reply: FastifyReply, { version }: Topology, answer: object): FastifyReply =>
  sendJson(reply.header('etag', etagOf(version)), 200, JSON.stringify(answer))

async function statusOf(
  { cell: self, peers, whyNotEmptied, now }: CellRoutesOptions,
  topology: Topology,
  { name, url, state }: TopologyCell,
) {
  const region = regionOf(name)
  const zone = topology.zones.find(({ regions }) => regions.includes(region))!.name
  const about = { name, region, zone, state, url }
  if (name === self) {
    // One that sells is asked nothing: looking through its orders is for one that is to go.
    const emptied = state === 'draining' && (await whyNotEmptied()) === null
    return {
      ...about,
      reachable: true,
      last_heard_at: toRfc3339(now()),
      round_trip_ms: 0,
      data_as_of: toRfc3339(now()),
      emptied,
    }
  }
  const heardAt = peers.lastHeardAt(name)
  const asOf = peers.dataAsOf(name)
  return {
    ...about,
    reachable: peers.isUp(name),
    last_heard_at: heardAt && toRfc3339(heardAt),
    round_trip_ms: peers.rttMs(name) || null,
    data_as_of: asOf && toRfc3339(asOf),
    emptied: null,
  }
}

function nextTopology(
  { cell, rules }: CellRoutesOptions,
  before: Topology,
  body: Static<typeof TopologyBody>,
): Topology | Refused {
  const found = checkTopology({ version: before.version + 1, by: cell, ...body }, rules)
  const next = Array.isArray(found) ? found : checkNextTopology(before, found, rules)
  return Array.isArray(next) ? invalid(next) : next
}

const invalid = (problems: readonly TopologyProblem[]): Refused =>
  refused('topology_invalid', problems[0]!.detail, [...problems])

/**
 * Only the cell itself knows what of it is in flight; and only its own database tells that its answers need not wait any more, so that
 * an old primary of it, whose standby was promoted, never hears so.
 */
async function refusedHere(
  { cell, whyNotEmptied }: CellRoutesOptions,
  before: Topology,
  next: Topology,
): Promise<Refused | undefined> {
  const gone = removedBy(before, next)
  const other = gone.find(({ name }) => name !== cell)
  if (other) return refused('cell_not_here', `${other.name} is removed at ${other.url}; this is ${cell}.`)
  const lowered = loweredBy(before, next).find(({ name, state }) => name !== cell && state !== 'removed')
  if (lowered) return refused('cell_not_here', `${lowered.name} is made local at ${lowered.url}; this is ${cell}.`)
  const why = gone.length > 0 ? await whyNotEmptied() : null
  return why === null ? undefined : refused('cell_not_emptied', why)
}
