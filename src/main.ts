// The composition root of one cell: opens the database, migrates it, builds the services by hand and listens. What it
// starts it stops in reverse, so that nothing is asked of a part that is gone.
import type { KeyObject } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { CellName } from './base/ids.ts'
import { buildCell, type CellParts } from './cell.ts'
import type { Supervisor } from './gateway/chaos.ts'
import type { Config } from './runtime/config.ts'
import type { DatabaseUrl } from './runtime/database-url.ts'
import type { Log } from './runtime/log.ts'
import { migrate, readMigrations } from './runtime/migrate.ts'
import { openDatabase } from './runtime/pg.ts'
import { StartFailure } from './runtime/start-failure.ts'
import type { KeepTopologyOptions, TopologyKeeper } from './runtime/topology.ts'
import { migrationSources } from './units.ts'

export type CellOptions = {
  config: Config
  cell: CellName
  databaseUrl: DatabaseUrl
  log: Log
  /** The topology that counts, given the one that the cell has stored. */
  atStart: KeepTopologyOptions['atStart']
  /** By which the other cells know this one. */
  key: KeyObject
  /** Who runs this process, if somebody does. */
  supervisor?: Supervisor | undefined
}

export type RunningCell = {
  /** Where it listens, for people: http://127.0.0.1:8080 */
  url: string
  topology: TopologyKeeper
  /** Answers what is in flight, takes nothing new, closes everything. */
  stop(): Promise<void>
}

export async function runCell({
  config,
  cell,
  databaseUrl,
  log,
  atStart,
  key,
  supervisor,
}: CellOptions): Promise<RunningCell> {
  const database = openDatabase({
    url: databaseUrl,
    applicationName: `holdfast ${cell}`,
    synchronousCommit: 'local', // until it is known whether anything is to wait for a standby: it may be gone, and nothing is answered yet
  })
  try {
    const applied = await migrate(database, await readMigrations(migrationSources))
    if (applied.length > 0) log.info({ migrations: applied.length }, 'migrated')
    const parts = await buildCell({ cell, database, config, log, atStart, key, supervisor })
    const port = await listen(parts, config)
    return {
      url: originOf(config.host, port),
      topology: parts.topology,
      async stop() {
        await parts.stop()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

/** Answers the port, which the system chose when the configured one is 0. */
async function listen({ app, stop }: CellParts, { host, port }: Config): Promise<number> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    await stop()
    throw listenFailure(error, { host, port })
  }
  return (app.server.address() as AddressInfo).port
}

/** Of an address to listen on, as URLs say it. */
export const originOf = (host: string, port: number): string =>
  new URL(`http://${host.includes(':') ? `[${host}]` : host}:${port}`).origin

/** One line for what keeps a server from listening; anything else is a fault of ours. */
export function listenFailure(error: unknown, { host, port }: { host: string; port: number }): unknown {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'EADDRINUSE')
    return new StartFailure(
      'port_in_use',
      `Port ${port} on ${host} is in use: stop what listens there, or choose another --port.`,
    )
  if (code === 'EACCES')
    return new StartFailure('port_in_use', `No permission to listen on port ${port}: choose a --port above 1023.`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new StartFailure('usage', `--host ${host} is not an address of this machine.`)
  return error
}
