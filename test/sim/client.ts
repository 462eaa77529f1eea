// A client that keeps API.md's advice: it sends again, with the same key, until it is answered, to whichever process; and
// now and then once more afterwards. What it was told of goes to all clients.
import type { Prng } from '../../src/base/prng.ts'
import type { Auditor } from './auditor.ts'
import { type Answer, describe, type Intent, type Request } from './intents.ts'
import type { Network } from './network.ts'
import type { ServerProcess } from './process.ts'
import type { Scheduler } from './scheduler.ts'
import { Violation } from './violation.ts'
import type { Known } from './workload.ts'

export type ClientWorld = {
  scheduler: Scheduler
  network: Network
  auditor: Auditor
  known: Known
  /** The process that has this place now; down ones answer nothing. */
  processAt(place: number): ServerProcess
  places: number
  trace(line: () => string): void
}

const attemptsMax = 300
const patienceMs = 400

export function createClient(world: ClientWorld, name: string, random: Prng) {
  const { scheduler, network, auditor, known } = world

  /** The answer, or null when none came in time; one that comes later has been given all the same. */
  function call(intent: Intent, request: Request): Promise<Answer | null> {
    const place = random.between(0, world.places - 1)
    return new Promise((resolve) => {
      scheduler.after(patienceMs, () => resolve(null))
      network.send(() => {
        const process = world.processAt(place)
        if (!process.isUp) return
        process.handle(request, intent.key).then((answer) => {
          if (!process.isUp) return
          world.trace(() => `${name} #${intent.number} is answered by place ${place}: ${text(answer)}`)
          auditor.answered(intent, request, answer)
          network.send(() => resolve(answer))
        }, auditor.failed)
      })
    })
  }

  async function pursue(intent: Intent): Promise<Answer> {
    auditor.intended(intent)
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const request = random.pick(intent.requests)
      if (intent.requests.length > 1 && random.chance(0.5)) void call(intent, random.pick(intent.requests)) // both at once
      world.trace(() => `${name} #${intent.number} try ${attempt}: ${describe(request)} key ${intent.key?.slice(0, 6)}`)
      const answer = await call(intent, request)
      if (answer && answer.kind !== 'unavailable') {
        if (random.chance(0.15)) void call(intent, random.pick(intent.requests))
        learn(request, answer)
        return answer
      }
      await scheduler.sleep(random.next() * 60)
    }
    auditor.found(new Violation('ends', `${name} #${intent.number} was never answered`))
    return { kind: 'unavailable', why: 'never answered' }
  }

  function learn({ command }: Request, answer: Answer): void {
    if (answer.kind !== 'accepted' || answer.id === null) return
    if (command.kind === 'place_hold' && !known.holdLines.has(answer.id)) {
      known.holds.push(answer.id)
      known.holdLines.set(answer.id, command.lines)
    }
    const { shopId } = command
    if (command.kind === 'place_order') known.orders.push({ shopId, id: answer.id, lines: command.lines })
    const { order } = answer
    if (!order?.life) return
    const linesOf = (lines: readonly { line: number; quantity: number }[]) =>
      lines.map(({ line, quantity }) => ({ sku: order.lines[line]!.sku, quantity }))
    for (const [list, parts] of [
      [known.shipments, order.life.shipments],
      [known.returns, order.life.returns],
    ] as const) {
      for (const { id, lines } of parts)
        if (!list.some((one) => one.id === id)) list.push({ orderId: order.id, id, lines: linesOf(lines) })
    }
  }

  return { pursue }
}

export type Client = ReturnType<typeof createClient>

const text = (answer: Answer): string =>
  answer.kind === 'accepted'
    ? `${answer.replayed ? 'replayed' : 'accepted'} ${answer.id ?? ''}`
    : answer.kind === 'refused'
      ? `${answer.code} ${JSON.stringify(answer.errors)}`
      : `not now: ${answer.why}`
