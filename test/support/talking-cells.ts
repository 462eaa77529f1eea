// Several whole cells that know and talk to each other as real ones do, each on a database of its own, listening in this process.
import type { CellName } from '../../src/base/ids.ts'
import type { Topology, TopologyCell, topologyJson } from '../../src/base/topology.ts'
import { topologyAtStart } from '../../src/base/topology-start.ts'
import { findPorts } from '../../src/cli/ports.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { termsOf } from '../../src/runtime/config.ts'
import type { DatabaseUrl } from '../../src/runtime/database-url.ts'
import { cellKeyOf, newCellKey, publicKeyOf } from '../../src/runtime/peer-keys.ts'
import { signedHeaders } from '../../src/runtime/peer-signature.ts'
import { eventually } from './eventually.ts'
import { type Answer, type HttpCell, openHttpCell } from './http-cell.ts'
import { createDatabase } from './postgres.ts'

export type TalkingCells = {
  cells: Record<string, HttpCell>
  /** Asked of the cell itself, over the topology that it has then. */
  setState(name: string, state: TopologyCell['state']): Promise<Answer>
  setTerms(
    name: string,
    terms: Partial<Pick<ReturnType<typeof topologyJson>['cells'][number], 'durability' | 'on_isolation' | 'standby'>>,
  ): Promise<Answer>
  /** One goes, with its connections, and comes back with what it had. */
  leave(name: string): Promise<void>
  /** `url`: on another server, which was promoted meanwhile. */
  comeBack(name: string, url?: DatabaseUrl): Promise<void>
  /** Another process under its name and key, on this server; whoever opens it stops it. */
  double(name: string, url: DatabaseUrl): Promise<HttpCell>
  /** What the cell would say to another, as it would sign it. */
  say(from: string, to: string, message: string, body: unknown): Promise<Answer>
  stop(): Promise<void>
}

/** `geo`: the servers of those that wait for a standby. */
export async function openTalkingCells(
  names: readonly string[],
  geo: Record<string, DatabaseUrl> = {},
  config: Parameters<typeof openHttpCell>[0] = {},
): Promise<TalkingCells> {
  const keys = new Map(names.map((name) => [name, cellKeyOf(newCellKey())]))
  const ports = await findPorts({ host: '127.0.0.1', port: 0, count: names.length })
  const started = names.map((name, at) => ({
    name: name as CellName,
    url: `http://127.0.0.1:${ports[at]}`,
    publicKey: publicKeyOf(keys.get(name)!),
    ...termsOf(geo[name] ? { durability: 'geo' } : {}),
  }))
  const topology = topologyAtStart(undefined, started) as Topology
  const cells: Record<string, HttpCell> = {}
  const urls = new Map<string, DatabaseUrl>()
  for (const name of names) urls.set(name, geo[name] ?? (await createDatabase()))
  const openAt = (name: string, url: DatabaseUrl, port: number): Promise<HttpCell> =>
    openHttpCell(config, {
      ...{ url, name, port, key: keys.get(name)! },
      atStart: (stored) => stored ?? topology,
      isFirst: name === names[0],
    })
  const open = async (name: string): Promise<void> => {
    cells[name] = await openAt(name, urls.get(name)!, ports[names.indexOf(name)]!)
  }
  for (const name of names) await open(name)
  const all = Object.values(cells)
  const away = new Set<string>()
  const isReady = async (cell: HttpCell) => (await cell.call('GET', '/readyz')).status === 200
  const knowsAll = async (cell: HttpCell) =>
    (await cell.call('GET', '/v1/cells')).json.data.every((one: { reachable: boolean }) => one.reachable)
  for (const cell of all) await eventually(async () => (await isReady(cell)) && (await knowsAll(cell)), 20_000)
  async function change(name: string, changes: object): Promise<Answer> {
    const cell = cells[name]!
    const seen = await cell.call('GET', '/v1/cells')
    const { zones, cells: known } = seen.json.topology as ReturnType<typeof topologyJson>
    const body = { zones, cells: known.map((one) => (one.name === name ? { ...one, ...changes } : one)) }
    return cell.call('PUT', '/v1/topology', { body, headers: { 'if-match': seen.headers.get('etag')! } })
  }
  return {
    cells,
    setState: (name, state) => change(name, { state }),
    setTerms: change,
    async leave(name) {
      away.add(name)
      await cells[name]!.stop()
    },
    async comeBack(name, url) {
      if (url) urls.set(name, url)
      await open(name)
      away.delete(name)
    },
    double: (name, url) => openAt(name, url, 0),
    say(from, to, message, body) {
      const [target, text] = [`/peer/v1/${message}`, JSON.stringify(body)]
      const headers = { 'content-type': 'application/json' }
      const parties = { from: from as CellName, to: to as CellName }
      const request = { method: 'POST', target, ...parties, headers, body: Buffer.from(text) }
      const signed = signedHeaders(keys.get(from)!, request, systemClock.now())
      return cells[to]!.call('POST', target, { body: text, headers: signed, key: null, as: null })
    },
    async stop() {
      await Promise.all(names.filter((name) => !away.has(name)).map((name) => cells[name]!.stop()))
    },
  }
}
