// The engine's contract on PostgreSQL.
import { setTimeout as delay } from 'node:timers/promises'
import type { Uuid } from '../../src/base/ids.ts'
import { keyTables } from '../../src/modules/orders/store.ts'
import { openEngine, openTestCell } from '../support/engine.ts'
import { eventually } from '../support/eventually.ts'
import { engineContract } from './engine.contract.ts'
import type { EngineBench, EngineState } from './engine-bench.ts'

engineContract('PostgreSQL', async (): Promise<EngineBench> => {
  const database = await openTestCell()
  await database.transaction((session) =>
    session.run(
      "insert into stock.locations (shop_id, code, name, cell, priority) values (1, 'east', 'East', 'eu1', 1)",
    ),
  )
  const read = <Row>(sql: string) => database.query<Row>(sql, [])
  return {
    process: (wrap) => openEngine(database, wrap),
    async readState() {
      const [rows, orders, holds, keys, events] = await Promise.all([
        read<EngineState['rows'][number]>(
          `select id, sku, location, tracking, on_hand as "onHand", reserved, committed, shipped, allowance, missing, version from stock.rows`,
        ),
        read<EngineState['orders'][number]>('select id, status, version from orders.states'),
        read<EngineState['holds'][number]>('select id, status, version from stock.holds'),
        read<{ hash: string; result: Uuid | null }>(
          keyTables.map((table) => `select hash, result_id as result from ${table}`).join(' union all '),
        ),
        read<EngineState['events'][number]>(
          `select subject, subject_version as "subjectVersion", type, data, to_json(moves) as moves from runtime.events order by seq`,
        ),
      ])
      const bare = keys.map(({ hash, result }) => ({ hash: hash.replaceAll('-', ''), resultId: result }))
      return { rows: [...rows], orders: [...orders], holds: [...holds], keys: bare, events: [...events] }
    },
    elapse: (ms) => delay(ms), // the store's clock is the database's own
    somebodyWaits: () =>
      eventually(async () => {
        const [row] = await read<{ n: number }>(
          `select count(*)::bigint as n from pg_stat_activity
           where datname = current_database() and application_name like '%lane%' and wait_event_type = 'Lock'`,
        )
        return row!.n > 0
      }),
    close: () => database.close(),
  }
})
