// Payments that are called at once, by the process whose batch has committed their order: that order's pending payment is the
// record that a call may have begun. What is answered soon needs no row of its own. The consumer of the log comes behind, waits
// a moment for what is under way here, and writes rows for the rest: what was not answered, not called, or not ours.
import type { Uuid } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { addMs, type Instant } from '../../base/time.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { CommandOutcome, Order, Submission } from '../orders/types.ts'
import { authorizationOf, begun, nextStep, type TrackedOperation } from './decide.ts'
import type { Executor } from './executor.ts'
import type { Book } from './store.ts'

export type Prompt = {
  /**
   * To be told what every batch of this process has committed: attempts that begin with it are called at once, unless the batch,
   * which began at `sinceMs` on the clock that never goes back, took so long that whoever reads the log may be at them.
   */
  saw(submissions: readonly Submission[], outcomes: readonly CommandOutcome[], sinceMs: number): void
  /** Undefined: not called by this process, or so long ago that it is forgotten. */
  find(id: Uuid): Prompted | undefined
  /** When the consumer has done what there was to do. */
  forget(id: Uuid): void
}

export type Prompted = {
  /** As it stands: under way, or as its call has left it. */
  operation: TrackedOperation
  /** `settled`: its order knows, and nothing is left to do. */
  state: 'under_way' | 'left' | 'settled'
  /** On the clock that never goes back. */
  sinceMs: number
  /** Resolves when it is not under way any more. */
  done: Promise<void>
  /** From now on its row is to be kept as well: the consumer writes one. */
  handOver(): void
}

export type PromptOptions = {
  executor: Pick<Executor, 'room' | 'carryOut' | 'rows'>
  clock: Pick<Clock, 'now' | 'elapsedMs'>
}

export function createPrompt({ executor, clock }: PromptOptions): Prompt {
  const all = new Map<Uuid, Prompted>()

  function call(order: Order, atMs: number, span: Submission['span']): void {
    const payment = order.life?.payments.at(-1)
    if (payment?.status !== 'pending') return
    const asked = authorizationOf(order, payment)
    const now = clock.now()
    const unsent: TrackedOperation = { ...asked, state: 'unsent', tries: 0, nextAt: now }
    if (nextStep(unsent, now) !== 'send') return
    if (executor.room(asked.provider) === 0) {
      all.set(asked.id, {
        operation: unsent,
        state: 'left',
        sinceMs: atMs,
        done: Promise.resolve(),
        handOver: () => {},
      })
      return
    }
    const { prompted, book } = underWay(begun(unsent, 'send', now), atMs, executor.rows, clock.now)
    all.set(asked.id, prompted)
    executor.carryOut([{ operation: prompted.operation, step: 'send', book, span }], atMs)
  }

  /** Oldest first, as far as nobody will ask for them: a consumer that is so far behind reads their orders. */
  function forgetOld(nowMs: number): void {
    for (const [id, { state, sinceMs }] of all) {
      if (state === 'under_way' || nowMs - sinceMs < limits.promptRememberedMs) return
      all.delete(id)
    }
  }

  function saw(submissions: readonly Submission[], outcomes: readonly CommandOutcome[], sinceMs: number): void {
    const nowMs = clock.elapsedMs()
    if (nowMs - sinceMs > limits.promptMsMax) return
    forgetOld(nowMs)
    for (const [index, { command, span }] of submissions.entries()) {
      if (!beginners.has(command.kind)) continue
      const outcome = outcomes[index]!
      if (outcome.ok && outcome.value.kind === 'order') call(outcome.value.order, sinceMs, span)
    }
  }

  return { saw, find: (id) => all.get(id), forget: (id) => void all.delete(id) }
}

/** Commands with which an attempt may begin. */
const beginners = new Set<Submission['command']['kind']>(['place_order', 'start_payment', 'exchange_order'])

/** One that is under way, and where its end is written. */
function underWay(operation: TrackedOperation, sinceMs: number, rows: Book, now: () => Instant) {
  const { promise, resolve } = Promise.withResolvers<void>()
  let hasRow = false
  const prompted: Prompted = {
    operation,
    state: 'under_way',
    sinceMs,
    done: promise,
    handOver() {
      hasRow = true
    },
  }
  function end(state: 'left' | 'settled'): void {
    prompted.state = state
    resolve()
  }
  function leave(left: TrackedOperation): void {
    prompted.operation = left
    end('left')
  }
  /** Asked after as soon as it has a row. */
  const unknown: TrackedOperation = { ...operation, nextAt: operation.askedAt }
  const book: Book = {
    async remove(gone) {
      end('settled')
      if (hasRow) await rows.remove(gone)
    },
    async keep(kept) {
      const { state, reference } = kept.operation
      // A row is given up only after another look.
      leave(state === 'dead' ? unknown : { ...operation, state, reference, nextAt: addMs(now(), kept.dueInMs) })
      if (hasRow) await rows.keep(kept)
    },
    ended() {
      if (prompted.state === 'under_way') leave(unknown)
    },
  }
  return { prompted, book }
}
