// The micro-batcher: commands queue, and each lane takes what has queued while its last batch committed. It waits for
// nothing, so a lone command goes at once and a crowd shares one commit. Every command gets exactly one answer, a key is in
// at most one batch at a time, and a batch that fails is rerun or split, so that one command's fault is its own.
import { assert } from '../base/assert.ts'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import { DatabaseUnavailable, type FailureClass } from './pg-failure.ts'

/** Refused before anything was done: the queue is full, or the command's deadline passed while it waited. */
export class Overloaded extends Error {
  override readonly name = 'Overloaded'
}

/** Time as the batcher needs it; the simulator brings its own. */
export type BatchTime = {
  now(): Instant
  sleep(ms: number): Promise<void>
  /** Runs `work` once everything that has arrived with the present event has been queued. */
  afterArrivals(work: () => void): void
}

/** What is answered later than it was committed: the lane goes on meanwhile. All are rejected with what `mayLeave` rejects with. */
export type Committed<O> = { outcomes: O[]; mayLeave: Promise<void> }

export type BatcherOptions<C, O> = {
  lanes: number
  /**
   * Commits the whole batch, or rejects and leaves nothing behind (unless the error says `mayHaveHappened`). Calls
   * `onWriting` when it has decided and its writes are on their way.
   */
  run(lane: number, commands: readonly C[], onWriting: () => void): Promise<O[] | Committed<O>>
  /** Rows a command touches: what bounds a batch and the queue. */
  rowsOf(command: C): number
  batchRowsMax?: number
  keyOf(command: C): string | null
  deadlineOf(command: C): Instant
  failureClass(error: unknown): FailureClass
  time: BatchTime
  onBatch?(batch: { commands: number; rows: number; ms: number }): void
  onRerun?(why: FailureClass | 'split', error: unknown): void
}

type Entry<C, O> = {
  command: C
  rows: number
  key: string | null
  /** An earlier try was cut off in its COMMIT. */
  mayHaveHappened: boolean
  resolve(outcome: O): void
  reject(error: unknown): void
}

/** What has gone wrong so far, each kind for itself: neither a lost session nor a rerun uses up what a unique violation is due. */
type Tries = Record<FailureClass, number>
type Attempt = { lane: number; onWriting(): void; tries: Tries }

type Answer<C, O> = { entry: Entry<C, O>; outcome: O }

const reconnectMsMax = 500
const drainRateWeight = 0.2

export function createBatcher<C, O>(options: BatcherOptions<C, O>) {
  const { time, batchRowsMax = limits.batchRowsMax } = options
  let queue: Entry<C, O>[] = []
  let queuedRows = 0
  let inFlight = 0
  let stopped = false
  let rowsPerMs = 0
  let lastDoneAt = time.now()
  const idle = Array.from({ length: options.lanes }, (_, lane) => lane)
  const busyKeys = new Set<string>()
  const parked = new Map<string, Entry<C, O>[]>()
  let waiters: (() => void)[] = []
  let startScheduled = false
  // The batch that has not decided yet. The next one begins when it writes: begun earlier, it would only wait for the same
  // rows, and be smaller. One that is held up by somebody's lock does not hold up the others for long.
  let deciding: Entry<C, O>[] | null = null

  /** Commands wait at most about `queueWaitMsMax` before their batch begins; beyond that an early refusal is kinder. */
  const isFull = (): boolean => isFilledTo(1)

  /** Streams stop here, and leave half of the queue to callers who would be refused. */
  const isHalfFull = (): boolean => isFilledTo(0.5)

  const isFilledTo = (share: number): boolean =>
    stopped ||
    queuedRows >= limits.queueRowsMax * share ||
    (queuedRows > limits.queueRowsMin * share && queuedRows > rowsPerMs * limits.queueWaitMsMax * share)

  /** Answers with the command's outcome. Rejects with Overloaded, DatabaseUnavailable, or what the command itself caused. */
  function submit(command: C): Promise<O> {
    if (isFull()) return Promise.reject(new Overloaded(stopped ? 'stopping' : 'the queue is full'))
    return new Promise<O>((resolve, reject) => {
      const entry = {
        command,
        rows: options.rowsOf(command),
        key: options.keyOf(command),
        mayHaveHappened: false,
        resolve,
        reject,
      }
      inFlight++
      enqueue([entry])
    })
  }

  function enqueue(entries: Entry<C, O>[]): void {
    for (const entry of entries) {
      queue.push(entry)
      queuedRows += entry.rows
    }
    scheduleStart()
  }

  function scheduleStart(): void {
    if (startScheduled || deciding !== null || idle.length === 0 || queue.length === 0) return
    startScheduled = true
    time.afterArrivals(() => {
      startScheduled = false
      startLane()
    })
  }

  function startLane(): void {
    if (deciding !== null || idle.length === 0) return
    const batch = take()
    if (batch.length > 0) void runLane(idle.pop()!, batch)
  }

  function endDeciding(batch: Entry<C, O>[]): void {
    if (deciding !== batch) return
    deciding = null
    scheduleStart()
  }

  async function runLane(lane: number, batch: Entry<C, O>[]): Promise<void> {
    const startedAt = time.now()
    const rows = rowsIn(batch)
    deciding = batch
    void time.sleep(limits.decidingMsMax).then(() => endDeciding(batch))
    const tries = { reconnect: 0, rerun: 0, fail: 0 }
    const answers = await settle(batch, { lane, onWriting: () => endDeciding(batch), tries })
    idle.push(lane)
    release(batch)
    noteDone(batch.length, rows, startedAt)
    if (deciding === batch) deciding = null
    startLane()
    give(answers)
  }

  /** A few answers a turn, so that the database's own answers, which end lock times, are not kept waiting behind them. */
  function give(answers: Answer<C, O>[]): void {
    for (const { entry, outcome } of answers.slice(0, limits.answersPerTurnMax)) {
      inFlight--
      entry.resolve(outcome)
    }
    if (answers.length > limits.answersPerTurnMax) {
      time.afterArrivals(() => give(answers.slice(limits.answersPerTurnMax)))
    }
  }

  async function giveOnce(mayLeave: Promise<void>, answers: Answer<C, O>[]): Promise<void> {
    try {
      await mayLeave
    } catch (error) {
      for (const { entry } of answers) fail(entry, error)
      return
    }
    give(answers)
  }

  /** The next batch: in order of arrival, bounded by rows; the first command always fits. Late ones are dropped here. */
  function take(): Entry<C, O>[] {
    const batch: Entry<C, O>[] = []
    const now = time.now()
    let rows = 0
    let at = 0
    for (; at < queue.length; at++) {
      const entry = queue[at]!
      if (batch.length > 0 && rows + entry.rows > batchRowsMax) break
      queuedRows -= entry.rows
      if (options.deadlineOf(entry.command) <= now) fail(entry, new Overloaded('the deadline passed in the queue'))
      else if (entry.key !== null && busyKeys.has(entry.key)) park(entry.key, entry)
      else {
        batch.push(entry)
        rows += entry.rows
      }
    }
    queue = at === queue.length ? [] : queue.slice(at)
    for (const { key } of batch) if (key !== null) busyKeys.add(key)
    if (waiters.length > 0 && !isHalfFull()) wakeWaiters()
    return batch
  }

  function park(key: string, entry: Entry<C, O>): void {
    const waiting = parked.get(key)
    if (waiting) waiting.push(entry)
    else parked.set(key, [entry])
  }

  function release(batch: Entry<C, O>[]): void {
    for (const { key } of batch) {
      if (key === null || !busyKeys.delete(key)) continue
      const waiting = parked.get(key)
      if (!waiting) continue
      parked.delete(key)
      enqueue(waiting)
    }
  }

  /** Runs until every entry has been rejected or has its outcome, which it answers with, unless that may not leave yet. */
  async function settle(entries: Entry<C, O>[], attempt: Attempt): Promise<Answer<C, O>[]> {
    try {
      const commands = entries.map((entry) => entry.command)
      const ran = await options.run(attempt.lane, commands, attempt.onWriting)
      const { outcomes, mayLeave } = Array.isArray(ran) ? { outcomes: ran } : ran
      assert(outcomes.length === entries.length, 'a batch answered with another number of outcomes')
      const answers = entries.map((entry, index) => ({ entry, outcome: outcomes[index]! }))
      if (!mayLeave) return answers
      void giveOnce(mayLeave, answers)
      return []
    } catch (error) {
      return settleFailed(entries, attempt, error)
    }
  }

  async function settleFailed(entries: Entry<C, O>[], attempt: Attempt, error: unknown): Promise<Answer<C, O>[]> {
    const { tries } = attempt
    const why = options.failureClass(error)
    const wanted = entries.filter((entry) => stillWanted(entry, error))
    if (wanted.length === 0) return []
    if (why === 'reconnect') {
      options.onRerun?.(why, error)
      await time.sleep(Math.min(reconnectMsMax, 10 * 2 ** tries.reconnect))
      return settle(wanted, { ...attempt, tries: { ...tries, reconnect: tries.reconnect + 1 } })
    }
    const rerunsMax = why === 'rerun' ? limits.batchRerunsMax : 1 // a unique violation reloads and reruns once
    if (tries[why] < rerunsMax) {
      options.onRerun?.(why, error)
      return settle(wanted, { ...attempt, tries: { ...tries, [why]: tries[why] + 1 } })
    }
    if (wanted.length === 1) {
      fail(wanted[0]!, error)
      return []
    }
    options.onRerun?.('split', error)
    const middle = wanted.length >> 1
    const half = { ...attempt, tries: { ...tries, rerun: 0, fail: 0 } }
    give(await settle(wanted.slice(0, middle), half)) // committed: it does not wait for the other half
    return settle(wanted.slice(middle), half)
  }

  /** A command is tried again until its deadline; then it says whether it may have happened. */
  function stillWanted(entry: Entry<C, O>, error: unknown): boolean {
    if (error instanceof DatabaseUnavailable && error.mayHaveHappened) entry.mayHaveHappened = true
    if (options.deadlineOf(entry.command) > time.now()) return true
    fail(entry, new DatabaseUnavailable('DEADLINE', 'the database did not take it in time', entry.mayHaveHappened))
    return false
  }

  function fail(entry: Entry<C, O>, error: unknown): void {
    inFlight--
    entry.reject(error)
  }

  function noteDone(commands: number, rows: number, startedAt: Instant): void {
    const now = time.now()
    // Lanes overlap, so the rate is counted from one completion to the next, but never over idle time.
    const ms = Math.max(1, now - Math.max(lastDoneAt, startedAt))
    rowsPerMs += drainRateWeight * (rows / ms - rowsPerMs)
    lastDoneAt = now
    options.onBatch?.({ commands, rows, ms: now - startedAt })
    if (waiters.length > 0 && !isHalfFull()) wakeWaiters()
  }

  function wakeWaiters(): void {
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }

  return {
    submit,
    isFull,
    isHalfFull,
    /** Resolves when the queue is less than half full: for streams, which wait instead of being refused. */
    whenRoom: (): Promise<void> =>
      isHalfFull() && !stopped ? new Promise((resolve) => waiters.push(resolve)) : Promise.resolve(),
    /** Seconds after which the present queue will have drained, at least 1. */
    retryAfterSeconds: (): number => Math.max(1, Math.ceil(queuedRows / Math.max(1, rowsPerMs) / 1000)),
    load: () => ({ queuedRows, inFlight, idleLanes: idle.length, rowsPerMs }),
    /** Takes nothing new; resolves when everything taken has its answer. */
    async stop(): Promise<void> {
      stopped = true
      wakeWaiters()
      while (inFlight > 0) await time.sleep(5) // every command ends by its deadline
    },
  }
}

export type Batcher<C, O> = ReturnType<typeof createBatcher<C, O>>

const rowsIn = (entries: { rows: number }[]): number => entries.reduce((sum, entry) => sum + entry.rows, 0)
