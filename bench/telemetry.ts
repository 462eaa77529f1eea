// What traces cost an order: a cell that sends them to a receiver of OTLP, at the usual ratio, and one that makes none, each on a
// database of its own. Both are under the same load at the same time, since the machine changes more from one slice to the next
// than traces cost. Metrics and logs are on in both. CPU counts, of the cell and its PostgreSQL; the receiver is not in it.
import { CommandFailure } from '../src/cli/failure.ts'
import { openOtlpReceiver } from '../test/support/otlp-receiver.ts'
import { type Bench, grouped } from './bench.ts'
import { generatorName } from './load.ts'
import { readSettings } from './machine.ts'
import { placeOrders, type Slice, warmUp } from './orders.ts'
import { median, medianRatio, round } from './rounds.ts'
import { type BenchServer, receiveSpread, startCells, startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

/** At each cell. */
const connectionsUsual = 128

export const telemetry: Bench = {
  diskMib: ({ seconds, rounds }) => 6_144 + seconds * rounds * 200,
  secondsMax: ({ seconds, rounds }) => 300 + rounds * seconds * 6,
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? connectionsUsual
    const receiver = await openOtlpReceiver()
    context.defer(() => receiver.stop())
    const plain = await startServer(context, 'plain')
    const flags = [`--otlp-endpoint=${receiver.url}`]
    const [traced] = (await startCells(context, { folderName: 'traced', cells: ['eu1'], flags })) as [BenchServer]
    await receiveSpread([traced])
    await warmUp(context, [plain.url, traced.url], connections)
    const place = (server: BenchServer) =>
      placeOrders(context, server, { connections, seconds: options.seconds, skus: skusSpread })
    const turns = { traced: [] as Slice[], plain: [] as Slice[] }
    for (let turn = 1; turn <= options.rounds; turn++) {
      const [above, below] = await Promise.all([place(traced), place(plain)])
      turns.traced.push(above)
      turns.plain.push(below)
      say(`round ${turn}: ${toldOf(above)} with traces, ${toldOf(below)} without`)
    }
    const spans = receiver.spans.length
    if (spans === 0) throw new CommandFailure('no_spans', 'the receiver was sent no spans')
    const [above, below] = [turns.traced.map(cpuOf), turns.plain.map(cpuOf)]
    const rates = (slices: readonly Slice[]) => slices.map(({ perSecond }) => perSecond)
    const fields = {
      overhead_ratio: medianRatio(above, below),
      throughput_ratio: medianRatio(rates(turns.traced), rates(turns.plain)),
      traced_cpu_us_per_order: round(median(above), 1),
      plain_cpu_us_per_order: round(median(below), 1),
      traced_orders_per_s: round(median(rates(turns.traced))),
      plain_orders_per_s: round(median(rates(turns.plain))),
      spans_received: spans,
      connections_per_cell: connections,
    }
    const row = (name: string, slices: readonly Slice[]) => [
      name,
      grouped(median(rates(slices))),
      String(round(median(slices.map(cpuOf)), 1)),
    ]
    return {
      fields,
      table: {
        columns: [
          { head: 'a cell' },
          { head: 'orders/s', align: 'right' },
          { head: 'CPU µs an order', align: 'right' },
        ],
        rows: [row('with traces', turns.traced), row('without', turns.plain)],
      },
      generator: generatorName,
      postgres: await readSettings(plain.sql),
    }
  },
}

const cpuOf = ({ cpuUs }: Slice): number => cpuUs.server + cpuUs.postgres

const toldOf = (slice: Slice): string => `${grouped(slice.perSecond)} orders/s at ${round(cpuOf(slice), 1)} µs`
