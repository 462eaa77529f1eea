// How far cells are from each other: real round trips between cloud regions, from a file in the form of the published table
// (`rtt_ms[source][destination]`), or those of three of them that stand here. Medians only: they have no tail.
import { readFileSync } from 'node:fs'

/** Microsoft's "Azure network round-trip latency statistics", page of 2024-04-10 (CC BY 4.0), in milliseconds. */
const builtIn: Latencies = {
  westeurope: { eastus: 84, japaneast: 226 },
  eastus: { westeurope: 83, japaneast: 157 },
  japaneast: { westeurope: 226, eastus: 158 },
}

/** Which cloud region a region of ours stands for. */
const cloudRegions: Record<string, string> = { eu: 'westeurope', us: 'eastus', ap: 'japaneast' }

const nearbyMs = 2 // within a region
const unknownMs = 100

type Latencies = Record<string, Record<string, number | null>>

/** Answers the round trip between two cells in milliseconds. The file may stand in HOLDFAST_LATENCIES. */
export function readLatencies(file = process.env.HOLDFAST_LATENCIES): (from: string, to: string) => number {
  const table = file ? (JSON.parse(readFileSync(file, 'utf8')) as { rtt_ms: Latencies }).rtt_ms : builtIn
  const cloudRegion = (cell: string): string => {
    const region = cell.replace(/\d+$/, '')
    return cloudRegions[region] ?? region
  }
  return (from, to) => {
    const [a, b] = [cloudRegion(from), cloudRegion(to)]
    return a === b ? nearbyMs : (table[a]?.[b] ?? unknownMs)
  }
}
