// A topology of three cells in two zones for tests of it, with keys that have the right shape.
import type { CellName } from '../../src/base/ids.ts'
import type { Topology, TopologyCell } from '../../src/base/topology.ts'

/** Another one for each number below 64. */
export const keyOf = (n: number): string =>
  `${'A'.repeat(41)}${'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'[n]}A`

export const cellOf = (name: string, n: number, more: Partial<TopologyCell> = {}): TopologyCell => ({
  name: name as CellName,
  url: `https://${name}.example.com`,
  publicKey: keyOf(n),
  state: 'active',
  durability: 'local',
  onIsolation: 'sell',
  standby: null,
  ...more,
})

export const threeCells = (more: Partial<Topology> = {}): Topology => ({
  version: 7,
  by: 'eu1' as CellName,
  zones: [
    { name: 'europe', regions: ['eu', 'ch'] },
    { name: 'world', regions: ['us', 'ap'] },
  ],
  cells: [
    cellOf('eu1', 1, { durability: 'geo', standby: { region: 'ch' } }),
    cellOf('us1', 2, { standby: { region: 'us' } }),
    cellOf('ap1', 3, { onIsolation: 'stop' }),
  ],
  ...more,
})
