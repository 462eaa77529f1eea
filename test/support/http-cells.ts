// Several cells that know each other, each on a database of its own, listening in this process. Their topology and who of them
// is up is a test's to say.

import type { CellName } from '../../src/base/ids.ts'
import type { Topology, TopologyCell } from '../../src/base/topology.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { cellKeyOf, newCellKey, publicKeyOf } from '../../src/runtime/peer-keys.ts'
import { createPeerVerifier, signedHeaders } from '../../src/runtime/peer-signature.ts'
import { type HttpCell, openHttpCell } from './http-cell.ts'

export type HttpCells = {
  cells: Record<string, HttpCell>
  /** As all of them know it; changed at once for all. */
  topology(): Topology
  change(cells: Record<string, Partial<TopologyCell>>): void
  /** Cells that the others know to be down. */
  down: Set<string>
  /** Headers under which `from` forwards to `to`: those given, and what signs them. */
  signed(from: string, to: string, method: string, path: string, more: Forwarded): Record<string, string>
  stop(): Promise<void>
}

type Forwarded = { headers: Record<string, string>; body?: string }

/** `others` are in the topology, at the URL given, and nothing of ours. */
export async function openHttpCells(
  names: readonly string[],
  others: Record<string, string> = {},
  config: Parameters<typeof openHttpCell>[0] = {},
): Promise<HttpCells> {
  const all = [...names, ...Object.keys(others)]
  const keys = new Map(all.map((name) => [name, cellKeyOf(newCellKey())]))
  const down = new Set<string>()
  const listeners = new Set<() => void>()
  let topology: Topology = { version: 1, by: names[0] as CellName, zones: [], cells: all.map((name) => given(name)) }

  function given(name: string): TopologyCell {
    const publicKey = publicKeyOf(keys.get(name)!)
    const standing = { state: 'active', durability: 'local', onIsolation: 'sell', standby: null } as const
    return { name: name as CellName, url: others[name] ?? '', publicKey, ...standing }
  }

  function change(cells: Record<string, Partial<TopologyCell>>): void {
    const { version } = topology
    const changed = topology.cells.map((cell) => ({ ...cell, ...cells[cell.name] }))
    topology = { ...topology, version: version + 1, cells: changed }
    for (const listener of listeners) listener()
  }

  const cells: Record<string, HttpCell> = {}
  for (const name of names) {
    const self = name as CellName
    cells[name] = await openHttpCell(config, {
      name,
      routing: {
        topology: {
          current: () => topology,
          onChange(listener) {
            listeners.add(listener)
            return () => listeners.delete(listener)
          },
        },
        peers: {
          others: () => topology.cells.map((cell) => cell.name).filter((other) => other !== self),
          isUp: (other) => !down.has(other),
        },
        privateKey: keys.get(name)!,
        verifier: createPeerVerifier({ self, cells: () => topology.cells, now: systemClock.now }),
        takesNew: () => true,
      },
    })
    change({ [name]: { url: cells[name].url } })
  }
  return {
    cells,
    topology: () => topology,
    change,
    down,
    signed(from, to, method, target, { headers, body }) {
      const bytes = body === undefined ? null : Buffer.from(body)
      const request = { method, target, from: from as CellName, to: to as CellName, headers, body: bytes }
      return { ...headers, ...signedHeaders(keys.get(from)!, request, systemClock.now()) }
    },
    async stop() {
      await Promise.all(Object.values(cells).map((cell) => cell.stop()))
    },
  }
}
