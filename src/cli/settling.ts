// An engine of a command's own, beside the processes that run or without them: for commands that tell orders something.
import type { CellName } from '../base/ids.ts'
import { type Instant, instant } from '../base/time.ts'
import { createEngine, rowsOf } from '../modules/orders/engine.ts'
import { createPostgresStore } from '../modules/orders/engine-postgres.ts'
import { settlingThrough } from '../modules/orders/service.ts'
import type { CommandOutcome, Settle, Submission } from '../modules/orders/types.ts'
import { createBatcher } from '../runtime/batch.ts'
import { systemClock } from '../runtime/clock.ts'
import { newestEventSql } from '../runtime/event-log.ts'
import type { Database } from '../runtime/pg.ts'
import { failureClass } from '../runtime/pg-failure.ts'

export async function withSettling<T>(
  database: Database,
  cell: CellName,
  work: (submit: (command: Settle) => Promise<CommandOutcome>) => Promise<T>,
): Promise<T> {
  const store = createPostgresStore((lane) => database.openSession(`settling ${lane}`))
  try {
    const [newest] = await database.query<{ at: Instant }>(newestEventSql)
    const engine = createEngine(store, { cell, startedAt: newest?.at ?? instant(0) })
    // As in a cell: a batch that fails is run again or split, so that a command's fault is its own.
    const batcher = createBatcher<Submission, CommandOutcome>({
      lanes: 1,
      run: engine.run,
      rowsOf,
      keyOf: () => null, // what is settled has none
      deadlineOf: ({ deadline }) => deadline,
      failureClass,
      time: { now: systemClock.now, sleep: systemClock.sleep, afterArrivals: setImmediate },
    })
    try {
      return await work(settlingThrough(batcher, systemClock.now))
    } finally {
      await batcher.stop()
    }
  } finally {
    await store.close()
  }
}
