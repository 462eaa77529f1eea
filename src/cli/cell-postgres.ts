// The PostgreSQL of a cell's process: the embedded one, which is started again when it dies, with its standby where the cell is
// `geo`; or one that is not ours to run.
import { setTimeout as pause } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import type { Config } from '../runtime/config.ts'
import type { DatabaseUrl } from '../runtime/database-url.ts'
import { type Embedded, startEmbedded } from '../runtime/embedded.ts'
import { settingsBeside } from '../runtime/embedded-settings.ts'
import { type EmbeddedStandby, setSynchronousStandby, startStandby } from '../runtime/embedded-standby.ts'
import type { Log } from '../runtime/log.ts'

export type CellDatabase = { url: DatabaseUrl; adopted: boolean; stop(): Promise<void> }

export type CellPostgres = { folder: string; config: Config; log: Log; stopping: AbortSignal }

export const externalPostgres = (url: DatabaseUrl): CellDatabase => ({ url, adopted: false, stop: async () => {} })

export async function embeddedPostgres(cell: CellPostgres): Promise<CellDatabase> {
  const { folder, config, log, stopping } = cell
  const server: Embedded = await startEmbedded({
    folder,
    settings: settingsBeside(config.cells.length, config.durability),
    diskFreeMinMib: config.diskFreeMinMib,
    signal: stopping,
    onLost: () => void startAgain(server, 'PostgreSQL', cell).then((runs) => runs || process.exit(1)),
  })
  if (server.adopted) log.info('took over the PostgreSQL of an earlier run')
  if (config.durability === 'local') {
    await setSynchronousStandby(server.url, null) // of an earlier run that was `geo`: nothing is to wait for it
    return server
  }
  const standby = await startStandbyOf(server, cell)
  return {
    url: server.url,
    adopted: server.adopted,
    async stop() {
      await server.stop() // first, so that the standby has all of it
      await standby.stop()
    },
  }
}

/** While it is away the gate is shut; the cell itself lives. */
async function startStandbyOf(primary: Embedded, cell: CellPostgres): Promise<EmbeddedStandby> {
  const { folder, config, stopping } = cell
  const standby: EmbeddedStandby = await startStandby({
    cellFolder: folder,
    region: config.standbyRegion,
    primary,
    settings: settingsBeside(config.cells.length, config.durability),
    signal: stopping,
    onLost: () => void startAgain(standby, 'the standby', cell),
  })
  await setSynchronousStandby(primary.url, standby.name)
  return standby
}

/** At once, then with growing pauses. False when nothing helps: the process ends then, and its parent starts another. */
async function startAgain(server: Pick<Embedded, 'restart'>, what: string, cell: CellPostgres): Promise<boolean> {
  const { log, stopping } = cell
  for (let attempt = 1; attempt <= limits.postgresStartsMax; attempt++) {
    if (stopping.aborted) return true
    log.error({ attempt }, `${what} is gone; starting it again`)
    try {
      await server.restart()
      log.info(`${what} runs again`)
      return true
    } catch (error) {
      log.error({ err: error }, `${what} did not start`)
    }
    await pause(limits.restartPauseMs * 2 ** attempt)
  }
  return false
}
