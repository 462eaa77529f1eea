// One run: three cells on a wide area of ours, a client in each region, and faults by the plan. In the end the network heals, every
// client gets its answers, everything in flight arrives, and the journals are compared with what the cells hold.
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../../../sdk/src/client.ts'
import { eventually } from '../../support/eventually.ts'
import { untilSettled } from '../settle.ts'
import { type Comparison, compare } from './compare.ts'
import { carryOut } from './faults.ts'
import { type Cut, type Goodput, goodputOf } from './goodput.ts'
import { databasesOf, inFlight, unmet } from './meeting.ts'
import { cells, type Step, stepsOf } from './plan.ts'
import { hasEnded, openScene, type Scene, stopClients } from './scene.ts'

const answersFirst = 60
const recoveryMsMax = 60_000
const meetMsMax = 60_000

export type RunOptions = {
  seed: number
  /** Of one fault. */
  forMsMax: number
  /** Asked before each step. */
  goesOn(steps: number): boolean
  onStep?(step: Step, answers: number): void
}

export type Found = Comparison & { goodput: Goodput[] }

export async function runCells({ seed, forMsMax, goesOn, onStep }: RunOptions): Promise<Found> {
  const scene = await openScene(seed)
  try {
    await untilAnswered(scene)
    const cuts: Cut[] = []
    let steps = 0
    for (const step of stepsOf(seed, forMsMax)) {
      if (!goesOn(steps++)) break
      const before = scene.answers()
      cuts.push(...(await carryOutStep(step, scene)))
      onStep?.(step, scene.answers() - before)
      if (hasEnded(scene)) throw new Error(`a client ended by itself; seed ${seed}`)
    }
    await stopClients(scene)
    await untilAllIsQuiet(scene)
    const comparison = await compare(scene)
    const { goodput, faults } = goodputOf(scene, cuts)
    scene.server.interrupt()
    await scene.server.ended
    return { ...comparison, goodput, faults: [...comparison.faults, ...faults] }
  } finally {
    await scene.stop()
  }
}

async function untilAnswered(scene: Scene): Promise<void> {
  const before = scene.answers()
  await eventually(() => scene.answers() >= before + answersFirst || hasEnded(scene), recoveryMsMax)
}

/** Answers the times in which a cell was cut off and otherwise well. */
async function carryOutStep({ faults, thenMs }: Step, scene: Scene): Promise<Cut[]> {
  const from = Date.now()
  const cuts: Cut[] = []
  await Promise.all(
    faults.map(async (fault) => {
      await carryOut(fault, scene)
      if (fault.kind === 'isolate' && faults.length === 1) cuts.push({ cell: fault.cell, from, to: Date.now() })
    }),
  )
  scene.area.heal()
  await delay(thenMs)
  return cuts
}

/** What is still open after a long while is left for the comparison to tell. */
async function untilAllIsQuiet({ data, urls }: Scene): Promise<void> {
  const databases = await databasesOf(data)
  await Promise.all(
    cells.map((cell) =>
      untilSettled({
        client: createClient({ url: urls[cell], key: 'sk_dev' }),
        database: databases[cell],
        hurry: true,
      }),
    ),
  )
  await eventually(
    async () => (await inFlight(databases)).length === 0 && (await unmet(databases)).length === 0,
    meetMsMax,
  ).catch(() => undefined)
}
