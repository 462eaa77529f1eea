// Virtual time. One thing happens at a time, in an order that the seed alone decides: by time, and by lot where times are
// equal. A step is over when everything it woke has come to rest, so nothing runs outside a step.
import type { Prng } from '../../src/base/prng.ts'

export type Scheduler = {
  /** True time in ms since the world began; the clocks of cells and processes are made from it. */
  now(): number
  /** Answers how to give it up. */
  after(ms: number, work: () => void): () => void
  sleep(ms: number): Promise<void>
  /** Runs until nothing is left to do before `untilMs`, or a step has failed. Answers the steps taken. */
  run(untilMs: number): Promise<number>
}

type Task = { at: number; lot: number; work: (() => void) | null }

/** `onStep` runs after every step; what it throws ends the run. */
export function createScheduler(random: Prng, onStep: () => void): Scheduler {
  const heap: Task[] = []
  let time = 0

  const scheduler: Scheduler = {
    now: () => time,
    after(ms, work) {
      const task: Task = { at: time + ms, lot: random.next(), work }
      push(heap, task)
      return () => {
        task.work = null
      }
    },
    sleep: (ms) => new Promise((resolve) => void scheduler.after(ms, resolve)),
    async run(untilMs) {
      let steps = 0
      while (heap.length > 0 && heap[0]!.at <= untilMs) {
        const { at, work } = pop(heap)
        if (!work) continue
        time = at
        work()
        await settled()
        onStep()
        steps++
      }
      time = untilMs
      return steps
    },
  }
  return scheduler
}

/** Every promise that can go on without the scheduler has gone on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const isBefore = (a: Task, b: Task): boolean => a.at < b.at || (a.at === b.at && a.lot < b.lot)

function push(heap: Task[], task: Task): void {
  let at = heap.length
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(task, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = task
}

function pop(heap: Task[]): Task {
  const first = heap[0]!
  const last = heap.pop()!
  if (heap.length === 0) return first
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return first
}
