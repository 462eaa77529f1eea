// What an order in a cell waits for because there are other cells, 100 ms away: nothing, it is claimed. Three cells that know each
// other, with the same load in each, in turn with three that know of nobody, under the same load each: so both sides ask the same of
// the two cores and of the one disk, which cells elsewhere would not share, and what differs is what cells cost each other (the
// greetings, the logs they read of each other, the shares they keep an eye on). One cell alone on the machine has its turn too: its
// numbers say what the company on one machine costs, and they are no part of the ratios. The rate is given, far below what the
// machine can do (`busy_share` is how much of it was used), since a queue would hide a wait behind itself.
// Keys name their cell, as those of the SDK do.
import { availableParallelism, cpus } from 'node:os'
import { CommandFailure } from '../src/cli/failure.ts'
import type { Bench, BenchContext } from './bench.ts'
import { ownGenerator, runGenerator } from './load.ts'
import { readSettings } from './machine.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { type BenchServer, receiveSpread, startCells, startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

const names = ['eu1', 'us1', 'ap1']
const roundTripMs = 100
const ratePerSecond = 100
const connections = 64
const warmUpSeconds = 4

type Slice = { p50Ms: number; p99Ms: number; busyShare: number }

export const cells: Bench = {
  diskMib: () => 8_192,
  secondsMax: ({ seconds, rounds }) => 240 + rounds * seconds * 5,
  async run(context) {
    const { options, say } = context
    const flags = [`--latency=${roundTripMs}ms`]
    const together = await startCells(context, { folderName: 'together', cells: names, flags })
    await receiveSpread(together)
    const strangers: BenchServer[] = []
    for (const name of names) strangers.push(await startServer(context, `stranger-${name}`))
    const load = (name: string, servers: readonly BenchServer[]) => async (turn: number) => {
      const slice = await loadEach(context, servers, options.seconds)
      say(
        `${name}, round ${turn}: p50 ${slice.p50Ms} ms, p99 ${slice.p99Ms} ms, ${slice.busyShare} of the machine busy`,
      )
      return slice
    }
    for (const servers of [together, strangers]) await loadEach(context, servers, warmUpSeconds)
    const turns = await takeTurns(options.rounds, {
      together: load('three that know each other', together),
      strangers: load('three strangers', strangers),
      alone: load('one alone', strangers.slice(0, 1)),
    })
    const fields = {
      local_p50_ratio_to_single: medianRatio(p50s(turns.together), p50s(turns.strangers)),
      local_p99_ratio_to_single: medianRatio(p99s(turns.together), p99s(turns.strangers)),
      ...named('cells', turns.together),
      ...named('single', turns.strangers),
      ...named('alone', turns.alone),
      rate_per_cell: ratePerSecond,
      round_trip_ms: roundTripMs,
    }
    const row = (name: string, slices: readonly Slice[]) => [
      name,
      ...[p50s(slices), p99s(slices), slices.map(({ busyShare }) => busyShare)].map((all) =>
        String(round(median(all), 2)),
      ),
    ]
    return {
      fields,
      table: {
        columns: [
          { head: 'cells' },
          ...['p50 ms', 'p99 ms', 'machine busy'].map((head) => ({ head, align: 'right' as const })),
        ],
        rows: [
          row(`three, ${roundTripMs} ms apart`, turns.together),
          row('three strangers', turns.strangers),
          row('one alone', turns.alone),
        ],
      },
      generator: `${ownGenerator} a cell`,
      postgres: await readSettings(together[0]!.sql),
    }
  },
}

const p50s = (slices: readonly Slice[]): number[] => slices.map(({ p50Ms }) => p50Ms)
const p99s = (slices: readonly Slice[]): number[] => slices.map(({ p99Ms }) => p99Ms)

const named = (name: string, slices: readonly Slice[]) => ({
  [`${name}_p50_ms`]: round(median(p50s(slices)), 2),
  [`${name}_p99_ms`]: round(median(p99s(slices)), 2),
  [`${name}_busy_share`]: round(median(slices.map(({ busyShare }) => busyShare)), 2),
})

/** The same rate at each at once; times are the mean of the cells' own. */
async function loadEach(context: BenchContext, servers: readonly BenchServer[], seconds: number): Promise<Slice> {
  const before = busySeconds()
  const startedAt = performance.now()
  const plan = { connections, depth: 1, seconds, skus: skusSpread, ratePerSecond, reconnect: false }
  const reports = await Promise.all(
    servers.map(({ url, cell }) => runGenerator(context, { ...plan, url, keyPrefix: `${cell}.` })),
  )
  const busy = (busySeconds() - before) / ((performance.now() - startedAt) / 1_000) / availableParallelism()
  for (const report of reports) {
    if (report.accepted < report.sent)
      throw new CommandFailure('not_accepted', `not all orders were accepted: ${JSON.stringify(report)}`)
    if (report.unsent > report.sent / 100)
      throw new CommandFailure('saturated', `the machine is too busy for this rate: ${JSON.stringify(report)}`)
  }
  const mean = (values: readonly number[]) => round(values.reduce((sum, value) => sum + value, 0) / values.length, 2)
  return {
    p50Ms: mean(reports.map(({ p50Ms }) => p50Ms)),
    p99Ms: mean(reports.map(({ p99Ms }) => p99Ms)),
    busyShare: round(busy, 2),
  }
}

/** Of all cores, whoever used them. */
const busySeconds = (): number =>
  cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0) / 1_000
