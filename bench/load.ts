// Closed-loop load on POST /v1/orders from a process of its own: wrk where it is installed, else our own generator. Every
// answer has to be a 201; one that is not fails the bench, since refusals are cheaper than orders.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CommandFailure } from '../src/cli/failure.ts'
import type { BenchContext } from './bench.ts'
import type { GeneratorPlan, GeneratorReport } from './generator.ts'

/** `pay`: how each order is paid, if it is; the answer then comes when it is confirmed, or at once. */
export type Pay = { method: string; wait: boolean }
export type LoadPlan = { url: string; connections: number; seconds: number; skus: number; pay?: Pay }
export type Load = { answers: number; perSecond: number; p50Ms: number; p99Ms: number }

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** The text after `wrk`, when there is one. */
function findWrk(): string | undefined {
  try {
    execFileSync('wrk', ['-v'], { encoding: 'utf8' })
  } catch (error) {
    const { status, stdout } = error as { status?: number | null; stdout?: string } // -v ends with code 1
    if (typeof status === 'number') return /^wrk (\S+)/.exec(stdout ?? '')?.[1] ?? 'unknown'
  }
  return undefined
}

const wrkVersion = findWrk()
export const ownGenerator = `bench/generator.ts on Node ${process.version}, one process`
export const generatorName = wrkVersion === undefined ? ownGenerator : `wrk ${wrkVersion}, one thread`

export async function runLoad(context: BenchContext, plan: LoadPlan): Promise<Load> {
  return wrkVersion === undefined ? runOwn(context, plan) : runWrk(context, plan)
}

async function runWrk(context: BenchContext, { url, connections, seconds, skus, pay }: LoadPlan): Promise<Load> {
  const flags = ['--threads=1', `--connections=${connections}`, `--duration=${seconds}s`, '--timeout=20s']
  const words = [String(skus), ...(pay ? [pay.method, pay.wait ? 'wait' : 'go'] : [])]
  const child = spawn('wrk', [...flags, '--script', script('./orders.lua'), url, '--', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const found = JSON.parse(await lastLine(context, child)) as Record<
    'answers' | 'microseconds' | 'p50' | 'p99' | 'not_accepted' | 'broken',
    number
  >
  if (found.not_accepted > 0 || found.broken > 0)
    throw new CommandFailure(
      'not_accepted',
      `${found.not_accepted} of ${found.answers} orders were not accepted, ${found.broken} requests broke`,
    )
  return {
    answers: found.answers,
    perSecond: found.answers / (found.microseconds / 1e6),
    p50Ms: found.p50 / 1000,
    p99Ms: found.p99 / 1000,
  }
}

async function runOwn(context: BenchContext, plan: LoadPlan): Promise<Load> {
  const report = await runGenerator(context, { ...plan, depth: 1, ratePerSecond: null, reconnect: false })
  const other = Object.entries(report.answers).filter(([status]) => status !== '201')
  if (other.length > 0 || report.lost > 0)
    throw new CommandFailure('not_accepted', `not all orders were accepted: ${JSON.stringify(report)}`)
  return { answers: report.accepted, perSecond: report.acceptedPerSecond, p50Ms: report.p50Ms, p99Ms: report.p99Ms }
}

/** Our own generator, to its end. */
export async function runGenerator(context: BenchContext, plan: GeneratorPlan): Promise<GeneratorReport> {
  return JSON.parse(await lastLine(context, startScript(context, './generator.ts', plan))) as GeneratorReport
}

/** A script of ours with a plan as its argument; killed in the end if it still runs. */
export function startScript(context: BenchContext, name: string, plan: object): ChildProcess {
  const child = spawn(process.execPath, [script(name), JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  context.defer(async () => void child.kill('SIGKILL'))
  return child
}

/** What a child printed last, once it has ended well. */
export async function lastLine(context: BenchContext, child: ChildProcess): Promise<string> {
  context.defer(async () => void child.kill('SIGKILL'))
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-10_000)
  })
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new CommandFailure('generator_failed', `the load generator ended with code ${code}: ${text}`)
  return text.trim().split('\n').at(-1)!
}
