// One run of the crash test: a real server, a client process that loads it, and kills by the plan. Between two kills the
// client must be answered again. In the end the client gets an answer to everything, and the store is compared with its journal.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createClient } from '../../sdk/src/client.ts'
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
import { type Comparison, compare } from './compare.ts'
import { countAnswers } from './journal.ts'
import { type Kill, killsOf } from './plan.ts'
import { skus } from './workload.ts'

const recoveryMsMax = 60_000
const stopMsMax = 120_000
const firstUnits = 25
/** So many answers may still lie in the client's sockets after a kill: each of 8 workers waits for two at most. */
const inFlightMax = 16

export type RunOptions = {
  seed: number
  /** Asked before each kill. */
  goesOn(kills: number): boolean
  onKill?(kill: Kill & { recoveryMs: number }): void
}

type Scene = {
  data: string
  journal: string
  seed: number
  port: number
  answers: () => number
  server: Running
  client: ChildProcess
}

export async function runCrashes({ seed, goesOn, onKill }: RunOptions): Promise<Comparison> {
  const { data, remove } = await makeDataFolder()
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-journal-')) // apart: what names the data folder is killed
  let client: ChildProcess | undefined
  try {
    const port = await freePort()
    const server = await startServer(data, port)
    await createClient({ url: server.url, key: 'sk_dev' }).stock.adjust(
      skus.map((sku) => ({ sku, delta: firstUnits, reason: 'received' })),
    )
    const journal = join(folder, 'journal.ndjson')
    client = startClient({ url: server.url, journal, seed })
    const scene: Scene = { data, journal, seed, port, answers: countAnswers(journal), server, client }
    let kills = 0
    for (const kill of killsOf(seed)) {
      if (!goesOn(kills++)) break
      const recoveryMs = await carryOut(kill, scene)
      client = scene.client
      onKill?.({ ...kill, recoveryMs })
    }
    await stopClient(scene.client)
    const comparison = await compare({
      journal,
      client: createClient({ url: scene.server.url, key: 'sk_dev' }),
      database: await embeddedUrl(data),
      firstUnits,
    })
    scene.server.interrupt()
    await scene.server.ended
    return comparison
  } finally {
    client?.kill('SIGKILL')
    await remove()
    await rm(folder, { recursive: true })
  }
}

/** Kills, starts again what nothing else starts, and waits for the next answer. Answers the milliseconds until then. */
async function carryOut({ victim, afterAnswers, afterMs }: Kill, scene: Scene): Promise<number> {
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
  if (victim === 'all') {
    for (const pid of everyProcess(scene.data)) killIfThere(pid)
    await eventually(() => everyProcess(scene.data).length === 0)
    scene.server = await startServer(scene.data, scene.port)
  }
  const after = scene.answers() + inFlightMax
  await eventually(() => scene.answers() > after || hasEnded(scene), recoveryMsMax)
  return Math.round(performance.now() - killedAt)
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

/** Of several processes that go together, one may be gone already. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const startServer = (data: string, port: number): Promise<Running> =>
  startHoldfast([`--data=${data}`, `--port=${port}`, '--log-level=fatal'])

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

/** The same after a restart, since the client knows no other. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}
