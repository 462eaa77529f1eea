// The PostgreSQL of a cell's process: the embedded one, which is started again when it dies, with its standby where the cell is
// `geo`; or one that is not ours to run.
import { setTimeout as pause } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import type { CellTerms } from '../base/topology.ts'
import type { Config } from '../runtime/config.ts'
import type { DatabaseUrl } from '../runtime/database-url.ts'
import { type Embedded, startEmbedded } from '../runtime/embedded.ts'
import { settingsBeside } from '../runtime/embedded-settings.ts'
import {
  type EmbeddedStandby,
  forgetStandby,
  setSynchronousStandby,
  startStandby,
} from '../runtime/embedded-standby.ts'
import type { Log } from '../runtime/log.ts'

export type CellDatabase = {
  url: DatabaseUrl
  adopted: boolean
  /** Runs the standby that these terms want, and no other; whoever runs a database of his own does that himself. */
  keepStandby(terms: CellTerms): Promise<void>
  stop(): Promise<void>
}

/** `servers`: how many share the machine, when each cell has what it is started with. */
export type CellPostgres = { folder: string; servers: number; config: Config; log: Log; stopping: AbortSignal }

export const externalPostgres = (url: DatabaseUrl): CellDatabase => ({
  url,
  adopted: false,
  keepStandby: async () => {},
  stop: async () => {},
})

export async function embeddedPostgres(cell: CellPostgres): Promise<CellDatabase> {
  const { folder, config, log, stopping } = cell
  const server: Embedded = await startEmbedded({
    folder,
    settings: settingsBeside(cell.servers),
    diskFreeMinMib: config.diskFreeMinMib,
    signal: stopping,
    onLost: () => void startAgain(server, 'PostgreSQL', cell).then((runs) => runs || process.exit(1)),
  })
  if (server.adopted) log.info('took over the PostgreSQL of an earlier run')
  const standbys = keepStandbys(server, cell)
  return {
    url: server.url,
    adopted: server.adopted,
    keepStandby: standbys.keep,
    async stop() {
      await server.stop() // first, so that the standby has all of it
      await standbys.stop()
    },
  }
}

/** One change after the other: the last one stands. While a standby is away the gate is shut; the cell itself lives. */
function keepStandbys(primary: Embedded, cell: CellPostgres) {
  let present: { region: string; standby: EmbeddedStandby } | undefined
  let changing = Promise.resolve()

  async function change(region: string | undefined): Promise<void> {
    if (cell.stopping.aborted || (present && present.region === region)) return
    if (present || region === undefined) await setSynchronousStandby(primary.url, null) // nothing is to wait for it
    if (present) {
      await present.standby.stop()
      await forgetStandby(primary.url, present.standby.name)
      present = undefined
    }
    if (region === undefined) return
    const standby = await startStandbyOf(primary, region, cell)
    present = { region, standby }
    await setSynchronousStandby(primary.url, standby.name)
  }

  return {
    keep({ durability, standby }: CellTerms): Promise<void> {
      const region = durability === 'geo' ? standby?.region : undefined
      const next = changing.then(() => change(region))
      changing = next.catch(() => {})
      return next
    },
    async stop() {
      await changing
      await present?.standby.stop()
    },
  }
}

async function startStandbyOf(primary: Embedded, region: string, cell: CellPostgres): Promise<EmbeddedStandby> {
  const { folder, stopping } = cell
  const standby: EmbeddedStandby = await startStandby({
    cellFolder: folder,
    region,
    primary,
    settings: settingsBeside(cell.servers),
    signal: stopping,
    onLost: () => void startAgain(standby, 'the standby', cell),
  })
  return standby
}

/** At once, then with growing pauses. False when nothing helps: the process ends then, and its parent starts another. */
async function startAgain(server: Pick<Embedded, 'restart'>, what: string, cell: CellPostgres): Promise<boolean> {
  const { log, stopping } = cell
  for (let attempt = 1; attempt <= limits.postgresStartsMax; attempt++) {
    if (stopping.aborted) return true
    log.error({ attempt }, `${what} is gone; starting it again`)
    try {
      if (await server.restart()) log.info(`${what} runs again`)
      return true
    } catch (error) {
      log.error({ err: error }, `${what} did not start`)
    }
    await pause(limits.restartPauseMs * 2 ** attempt)
  }
  return false
}
