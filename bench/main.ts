// npm run bench -- NAME: runs one bench in a temporary folder, prints a table and, as the last line, one JSON object.
// Whatever happens, what it started is stopped and what it made is removed.
import { appendFile, chmod, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { asFailure, CommandFailure } from '../src/cli/failure.ts'
import { formatTable } from '../src/cli/table.ts'
import type { Bench, BenchContext, BenchResult } from './bench.ts'
import { bulk } from './bulk.ts'
import { cells } from './cells.ts'
import { checkout } from './checkout.ts'
import { controlRoom } from './control-room.ts'
import { engine } from './engine.ts'
import { geo } from './geo.ts'
import { growth } from './growth.ts'
import { hot } from './hot.ts'
import { hotCells } from './hot-cells.ts'
import { checkDisk, commit, fixedJobMs, machine } from './machine.ts'
import { type BenchName, type BenchOptions, benchHelp, readOptions } from './options.ts'
import { orders } from './orders.ts'
import { overload } from './overload.ts'
import { partition } from './partition.ts'
import { recovery } from './recovery.ts'
import { regionLoss } from './region-loss.ts'
import { seatsOfStadium } from './seats.ts'
import { sellout } from './sellout.ts'
import { slowProvider } from './slow-provider.ts'
import { telemetry } from './telemetry.ts'
import { webhooks } from './webhooks.ts'

const benches: Record<BenchName, Bench> = {
  engine,
  orders,
  hot,
  bulk,
  growth,
  overload,
  recovery,
  checkout,
  'slow-provider': slowProvider,
  webhooks,
  cells,
  sellout,
  'hot-cells': hotCells,
  geo,
  partition,
  'region-loss': regionLoss,
  seats: seatsOfStadium,
  telemetry,
  'control-room': controlRoom,
}
const resultsFile = new URL('./results.jsonl', import.meta.url)

async function main(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${benchHelp}\n`)
    return 0
  }
  try {
    const options = readOptions(args)
    const line = await measure(options, benches[options.name])
    if (options.record) await appendFile(resultsFile, `${line}\n`)
    process.stdout.write(`${line}\n`)
    return 0
  } catch (error) {
    const failure = asFailure(error)
    process.stderr.write(failure ? `bench: ${failure.message}\n` : `bench: ${(error as Error).stack}\n`)
    return 1
  }
}

async function measure(options: BenchOptions, bench: Bench): Promise<string> {
  await checkDisk(options.data, bench.diskMib(options))
  const facts = {
    commit: commit(),
    date: new Date().toISOString(),
    machine: machine(),
    fixed_job_ms: fixedJobMs(),
    node: process.version,
  }
  const result = await runInFolder(options, bench)
  process.stdout.write(`\n${formatTable(result.table.columns, result.table.rows)}\n\n`)
  const { fields, generator, postgres } = result
  const { seconds, rounds, lanes } = options
  return JSON.stringify({ name: options.name, ...fields, seconds, rounds, lanes, generator, ...facts, postgres })
}

async function runInFolder(options: BenchOptions, bench: Bench): Promise<BenchResult> {
  const folder = await mkdtemp(join(options.data, 'holdfast-bench-'))
  await chmod(folder, 0o711) // PostgreSQL runs as another account when we are root
  const stops: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true, maxRetries: 5 })]
  const context: BenchContext = {
    options,
    folder,
    say: (line) => process.stderr.write(`${line}\n`),
    defer: (stop) => void stops.push(stop),
  }
  const over = new AbortController()
  try {
    return await Promise.race([bench.run(context), interrupted(), tooLong(bench.secondsMax(options), over.signal)])
  } finally {
    over.abort()
    for (const stop of stops.reverse()) {
      await stop().catch((error: unknown) => context.say(`while stopping: ${(error as Error).message}`))
    }
  }
}

function interrupted(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => reject(new CommandFailure('interrupted', `stopped by ${signal}`)))
    }
  })
}

async function tooLong(secondsMax: number, over: AbortSignal): Promise<never> {
  await pause(secondsMax * 1000, undefined, { signal: over, ref: false })
  throw new CommandFailure('too_slow', `not done after ${secondsMax} s`)
}

process.exitCode = await main(process.argv.slice(2))
