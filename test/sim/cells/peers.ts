// The other cells as one process knows them: who is up, whose life is which, and calls that a simulated network carries.
import type { CellName, Uuid } from '../../../src/base/ids.ts'
import type { Json } from '../../../src/base/json.ts'
import type { Process } from './node.ts'
import type { Ground } from './process.ts'

/** The other did not answer, or would not. */
export class OutOfReach extends Error {
  override readonly name = 'OutOfReach'
  readonly cell: CellName
  constructor(cell: CellName) {
    super(`${cell} did not answer`)
    this.cell = cell
  }
}

type Answer = { life: Uuid; value?: Json }

export type SimPeers = ReturnType<typeof createSimPeers>

export function createSimPeers({ world, name, whileUp, isNotNow }: Ground) {
  const { scheduler, network, trace } = world
  const misses = new Map<CellName, number>()
  const lives = new Map<CellName, Uuid>()
  const isUp = (cell: CellName): boolean => (misses.get(cell) ?? 0) < 2

  /** Undefined: nothing came in time. */
  function send(to: CellName, message: string, body: Json, deadlineMs: number): Promise<Answer | undefined> {
    const text = JSON.stringify(body)
    return new Promise((resolve) => {
      const forget = scheduler.after(deadlineMs, () => resolve(undefined))
      const arrive = (answer: string): void => {
        forget()
        resolve(JSON.parse(answer) as Answer)
      }
      network.send(name, to, () => {
        const target = world.cellAt(to).process()
        if (!target.isUp) return
        void answerOf(to, target, message, text).then((answer) => {
          const back = JSON.stringify({ ...answer, life: world.cellAt(to).durable.life })
          if (target.isUp) network.send(to, name, () => arrive(back))
        })
      })
    })
  }

  async function answerOf(to: CellName, target: Process, message: string, text: string): Promise<{ value?: Json }> {
    if (!world.members.isThere(to, name)) return {} // it has not heard of this cell yet, or that it is gone
    try {
      return { value: await target.message(name, message, JSON.parse(text) as Json) }
    } catch (error) {
      if (!isNotNow(error)) world.failed(error)
      return {}
    }
  }

  async function call(
    to: CellName,
    message: string,
    body: Json,
    { deadlineMs }: { deadlineMs: number },
  ): Promise<Json> {
    const answer = await send(to, message, body, deadlineMs)
    await whileUp(undefined)
    if (answer !== undefined) {
      misses.set(to, 0)
      lives.set(to, answer.life)
    } else if (message !== 'log') misses.set(to, (misses.get(to) ?? 0) + 1) // one that waits for news says little
    if (message === 'ask')
      trace(() => `${name} asks ${to}: ${JSON.stringify(body)} -> ${JSON.stringify(answer?.value) ?? 'no answer'}`)
    if (answer?.value === undefined) throw new OutOfReach(to)
    return answer.value
  }

  return {
    others: () => world.members.othersOf(name),
    isActive: (cell: CellName) => world.members.isActive(name, cell),
    isUp,
    stateOf: (cell: CellName) => world.members.stateOf(name, cell),
    /** It did not answer lately, or was never heard. */
    isMissed: (cell: CellName) => !lives.has(cell) || (misses.get(cell) ?? 0) > 0,
    rttMs: (cell: CellName) => 2 * network.oneWayMs(name, cell),
    /** Null before it was heard. */
    lifeOf: (cell: CellName) => lives.get(cell) ?? null,
    call,
  }
}
