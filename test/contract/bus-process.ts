// A process that consumes, on a database of its own connections, and how it crashes: its connections are cut until it is gone.
import { type PostgresBusOptions, postgresBus } from '../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import type { EventLog } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { type BusProcess, triesMax } from './bus.contract.ts'

type Reader = PostgresBusOptions['reader']
let processes = 0

/** `openReader` is given the process's own database, and its reader is stopped with it. */
export async function startBusProcess(
  log: EventLog,
  openReader: (database: Database, errors: unknown[]) => Promise<Reader & { stop?(): Promise<void> }>,
): Promise<BusProcess> {
  const applicationName = `process ${++processes}`
  const database = openDatabase({ url: log.url, applicationName })
  const errors: unknown[] = []
  const repeated = new Map<string, number>()
  const reader = await openReader(database, errors)
  const onError = (_: string, error: unknown) => void errors.push(error)
  const onDelivered = (name: string, delivered: { repeated: number }) =>
    void repeated.set(name, (repeated.get(name) ?? 0) + delivered.repeated)
  const bus = postgresBus({ database, reader, clock: systemClock, onError, onDelivered, triesMax })
  const close = async (): Promise<void> => {
    await bus.close()
    await reader.stop?.()
    await database.close()
  }
  const cut = `select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1`
  return {
    bus,
    errors,
    repeated: (name) => repeated.get(name) ?? 0,
    close,
    async crash() {
      let closed = false
      const closing = close().finally(() => {
        closed = true
      })
      await eventually(async () => {
        await log.database.query(cut, [`${applicationName} %`])
        return closed
      })
      await closing
    },
  }
}
