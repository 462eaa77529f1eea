// One SKU that everybody wants, in one cell, in turn with two cells of its region that share it: what an order costs all processes
// of the cells and their PostgreSQLs must not grow with the number of cells. Keys name their cell, as those of the SDK do, so
// that an order is taken where it arrives. Each cell has the same number of buyers, so that batches are of one size, and as much
// of the machine as it can use; how two cells do with half of the buyers each, whose batches are smaller, is told beside it.
import { CommandFailure } from '../src/cli/failure.ts'
import { systemClock } from '../src/runtime/clock.ts'
import { type Bench, type BenchContext, grouped } from './bench.ts'
import { ownGenerator, runGenerator } from './load.ts'
import { readSettings } from './machine.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { type BenchServer, checkpointMidway, countOrdersSince, receiveSpread, startCells } from './server.ts'

const connectionsUsual = 256
const warmUpSeconds = 3

type Slice = { perSecond: number; cpuUs: number; cpuUsServer: number }

export const hotCells: Bench = {
  diskMib: ({ seconds, rounds }) => 6_144 + seconds * rounds * 100,
  secondsMax: ({ seconds, rounds }) => 240 + rounds * seconds * 6,
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? connectionsUsual
    const one = await startCells(context, { folderName: 'one', cells: ['eu1'] })
    const two = await startCells(context, { folderName: 'two', cells: ['eu1', 'eu2'] })
    for (const servers of [one, two]) {
      await receiveSpread(servers)
      await loadAll(context, servers, { connections, seconds: warmUpSeconds })
    }
    const load = (name: string, servers: readonly BenchServer[], buyers: number) => async (turn: number) => {
      const slice = await loadAll(context, servers, { connections: buyers, seconds: options.seconds })
      say(`${name}, round ${turn}: ${grouped(slice.perSecond)} orders/s, ${round(slice.cpuUs, 1)} µs an order`)
      return slice
    }
    const turns = await takeTurns(options.rounds, {
      two: load('two cells', two, connections),
      one: load('one cell', one, connections),
      shared: load('two cells that share the buyers of one', two, connections / 2),
    })
    const costs = (slices: readonly Slice[]) => slices.map(({ cpuUs }) => cpuUs)
    const told = (name: string, slices: readonly Slice[]) => ({
      [`${name}_cpu_us`]: round(median(costs(slices)), 1),
      [`${name}_cpu_us_server`]: round(median(slices.map(({ cpuUsServer }) => cpuUsServer)), 1),
      [`${name}_per_s`]: round(median(slices.map(({ perSecond }) => perSecond))),
    })
    const fields: Record<string, number> = {
      engine_cpu_us_per_order_ratio: medianRatio(costs(turns.two), costs(turns.one)),
      shared_buyers_cpu_us_per_order_ratio: medianRatio(costs(turns.shared), costs(turns.one)),
      ...told('two_cells', turns.two),
      ...told('shared_buyers', turns.shared),
      ...told('one_cell', turns.one),
      connections_per_cell: connections,
    }
    const row = (name: string, key: string) => [name, grouped(fields[`${key}_per_s`]!), String(fields[`${key}_cpu_us`])]
    return {
      fields,
      table: {
        columns: [
          { head: 'one SKU in' },
          ...['orders/s', 'CPU µs an order'].map((head) => ({ head, align: 'right' as const })),
        ],
        rows: [
          row('one cell', 'one_cell'),
          row('two cells', 'two_cells'),
          row('two cells that share the buyers of one', 'shared_buyers'),
        ],
      },
      generator: `${ownGenerator} a cell`,
      postgres: await readSettings(two[0]!.sql),
    }
  },
}

/** `connections` buyers in each cell, each of whom asks again as soon as he is answered. */
async function loadAll(
  context: BenchContext,
  servers: readonly BenchServer[],
  { connections, seconds }: { connections: number; seconds: number },
): Promise<Slice> {
  const startedAt = systemClock.now()
  const before = await cpuOf(servers)
  const plan = {
    connections,
    depth: 1,
    seconds,
    skus: 1,
    ratePerSecond: null,
    reconnect: false,
  }
  const [reports] = await Promise.all([
    Promise.all(servers.map(({ url, cell }) => runGenerator(context, { ...plan, url, keyPrefix: `${cell}.` }))),
    ...servers.map(({ sql }) => checkpointMidway(sql, seconds)),
  ])
  const after = await cpuOf(servers)
  const counts = await Promise.all(servers.map(({ sql }) => countOrdersSince(sql, startedAt)))
  const stored = counts.reduce((sum, count) => sum + count, 0)
  for (const report of reports) {
    if (report.accepted < report.sent)
      throw new CommandFailure('not_accepted', `not all orders were accepted: ${JSON.stringify(report)}`)
  }
  return {
    perSecond: reports.reduce((sum, report) => sum + report.acceptedPerSecond, 0),
    cpuUs: ((after.all - before.all) * 1e6) / stored,
    cpuUsServer: ((after.server - before.server) * 1e6) / stored,
  }
}

async function cpuOf(servers: readonly BenchServer[]): Promise<{ all: number; server: number }> {
  const used = await Promise.all(servers.map((server) => server.cpuSeconds()))
  const server = used.reduce((sum, one) => sum + one.server, 0)
  return { server, all: used.reduce((sum, one) => sum + one.postgres, server) }
}
