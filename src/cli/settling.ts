// An engine of a command's own, beside the processes that run or without them: for commands that tell orders something.
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Instant, instant } from '../base/time.ts'
import { createEngine } from '../modules/orders/engine.ts'
import { createPostgresStore } from '../modules/orders/engine-postgres.ts'
import { submissionOf } from '../modules/orders/service.ts'
import type { CommandOutcome, Settle } from '../modules/orders/types.ts'
import { systemClock } from '../runtime/clock.ts'
import { newestEventSql } from '../runtime/event-log.ts'
import { gather } from '../runtime/gather.ts'
import type { Database } from '../runtime/pg.ts'

export async function withSettling<T>(
  database: Database,
  cell: CellName,
  work: (submit: (command: Settle) => Promise<CommandOutcome>) => Promise<T>,
): Promise<T> {
  const store = createPostgresStore((lane) => database.openSession(`settling ${lane}`))
  try {
    const [newest] = await database.query<{ at: Instant }>(newestEventSql)
    const engine = createEngine(store, { cell, startedAt: newest?.at ?? instant(0) })
    const submit = gather<Settle, CommandOutcome>(limits.reconcilePageMax, (commands) =>
      engine.run(
        0,
        commands.map((command) => submissionOf(command, null, systemClock.now())),
      ),
    )
    return await work(submit)
  } finally {
    await store.close()
  }
}
