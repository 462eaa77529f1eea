// One run of the crash test: a real server, a client process that loads it, and kills by the plan. Between two kills the
// client must be answered again. In the end the client gets an answer to everything, all payments settle, and three records are
// compared: the client's journal, the store, and what the providers hold.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createClient } from '../../sdk/src/client.ts'
import { findPorts } from '../../src/cli/ports.ts'
import { isAlive } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import {
  cellProcess,
  embeddedUrl,
  everyProcess,
  makeDataFolder,
  postmasterPid,
  type Running,
  startHoldfast,
} from '../support/holdfast.ts'
import { signalAll } from '../support/signal-all.ts'
import { type Comparison, compare } from './compare.ts'
import { countAnswers } from './journal.ts'
import { type Kill, killsOf } from './plan.ts'
import { untilSettled } from './settle.ts'
import { type StripeProcess, startStripe, stripeEnvironment } from './stripe-process.ts'
import { skus } from './workload.ts'

const recoveryMsMax = 60_000
const stopMsMax = 120_000
const firstUnits = 15
/** So many answers may still lie in the client's sockets after a kill: each of 8 workers waits for two at most. */
const inFlightMax = 16

export type RunOptions = {
  seed: number
  /** Asked before each kill. */
  goesOn(kills: number): boolean
  /** Ends with a kill of everything, so that nothing has to be waited for that nobody can have sent. */
  hurry: boolean
  onKill?(kill: Kill & { recoveryMs: number }): void
}

type Scene = {
  data: string
  journal: string
  seed: number
  port: number
  stripePort: number
  stripe: StripeProcess
  answers: () => number
  server: Running
  client: ChildProcess
}

export async function runCrashes({ seed, goesOn, hurry, onKill }: RunOptions): Promise<Comparison> {
  const { data, remove } = await makeDataFolder()
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-journal-')) // apart: what names the data folder is killed
  let scene: Scene | undefined
  try {
    const journal = join(folder, 'journal.ndjson')
    const stripeFile = join(folder, 'stripe.ndjson')
    scene = await openScene({ data, journal, stripeFile, seed })
    let kills = 0
    for (const kill of killsOf(seed)) {
      if (!goesOn(kills++)) break
      const recoveryMs = await carryOut(kill, scene)
      onKill?.({ ...kill, recoveryMs })
    }
    await stopClient(scene.client)
    if (hurry) await killAll(scene)
    const client = createClient({ url: scene.server.url, key: 'sk_dev' })
    const database = await embeddedUrl(data)
    await untilSettled({ client, database, hurry })
    const comparison = await compare({ journal, client, database, stripeFile, firstUnits })
    scene.server.interrupt()
    await scene.server.ended
    return comparison
  } finally {
    scene?.client.kill('SIGKILL')
    await scene?.stripe.kill()
    await remove()
    await rm(folder, { recursive: true })
  }
}

type Files = { data: string; journal: string; stripeFile: string; seed: number }

async function openScene({ data, journal, stripeFile, seed }: Files): Promise<Scene> {
  const [port, stripePort] = (await findPorts({ host: '127.0.0.1', port: 0, count: 2 })) as [number, number]
  const stripe = await startStripe({ port: stripePort, file: stripeFile, serverPort: port })
  const server = await startServer({ data, port, stripePort })
  await createClient({ url: server.url, key: 'sk_dev' }).stock.adjust(
    skus.map((sku) => ({ sku, delta: firstUnits, reason: 'received' })),
  )
  const client = startClient({ url: server.url, journal, seed })
  return { data, journal, seed, port, stripePort, stripe, answers: countAnswers(journal), server, client }
}

/** Kills, starts again what nothing else starts, and waits for the next answer. Answers the milliseconds until then. */
async function carryOut({ victim, captureRule, afterAnswers, afterMs }: Kill, scene: Scene): Promise<number> {
  await setCaptureRule(scene.server.url, captureRule)
  const before = scene.answers()
  await eventually(() => scene.answers() >= before + afterAnswers || hasEnded(scene), recoveryMsMax)
  if (hasEnded(scene)) throw new Error('the client of the crash test ended by itself')
  await delay(afterMs)
  const killedAt = performance.now()
  if (victim === 'server') await killFound(() => cellProcess(scene.data))
  if (victim === 'postgres') await killFound(() => postmasterPid(scene.data))
  if (victim === 'client') {
    scene.client.kill('SIGKILL')
    await once(scene.client, 'exit')
    scene.client = startClient({ url: scene.server.url, journal: scene.journal, seed: scene.seed })
  }
  if (victim === 'provider') {
    await scene.stripe.kill()
    await scene.stripe.start()
  }
  if (victim === 'all') await killAll(scene)
  const after = scene.answers() + inFlightMax
  await eventually(() => scene.answers() > after || hasEnded(scene), recoveryMsMax)
  return Math.round(performance.now() - killedAt)
}

async function killAll(scene: Scene): Promise<void> {
  signalAll(everyProcess(scene.data))
  await scene.stripe.kill()
  await eventually(() => everyProcess(scene.data).length === 0)
  await scene.stripe.start()
  scene.server = await startServer(scene)
}

/** Of the orders that are placed from now on. */
async function setCaptureRule(url: string, capture: Kill['captureRule']): Promise<void> {
  const headers = { authorization: 'Bearer sk_dev', 'content-type': 'application/json' }
  const put = () => fetch(`${url}/v1/settings`, { method: 'PUT', headers, body: JSON.stringify({ capture }) })
  await eventually(async () => (await put().catch(() => undefined))?.ok ?? false, recoveryMsMax)
}

const hasEnded = ({ client }: Scene): boolean => client.exitCode !== null

/** One that is on its way back is waited for. */
async function killFound(find: () => number | undefined | Promise<number | undefined>): Promise<void> {
  let pid: number | undefined
  await eventually(async () => {
    pid = await find()
    return pid !== undefined && isAlive(pid)
  }, recoveryMsMax)
  process.kill(pid!, 'SIGKILL')
}

const startServer = ({ data, port, stripePort }: Pick<Scene, 'data' | 'port' | 'stripePort'>): Promise<Running> =>
  startHoldfast([`--data=${data}`, `--port=${port}`, '--log-level=fatal'], { env: stripeEnvironment(stripePort) })

function startClient({ url, journal, seed }: { url: string; journal: string; seed: number }): ChildProcess {
  const program = fileURLToPath(new URL('./client.ts', import.meta.url))
  return spawn(process.execPath, [program, `--url=${url}`, `--journal=${journal}`, `--seed=${seed}`], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

async function stopClient(client: ChildProcess): Promise<void> {
  client.kill('SIGTERM')
  await eventually(() => client.exitCode !== null || client.signalCode !== null, stopMsMax)
  if (client.exitCode !== 0) throw new Error(`the client of the crash test ended with ${client.exitCode}`)
}
