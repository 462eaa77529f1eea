// The database of a cell for commands that need no server: the one --database-url names, else the embedded one of the data
// folder, used beside a running Holdfast or started for as long as the command takes.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { CellName } from '../base/ids.ts'
import { firstCell } from '../base/topology.ts'
import { ensureShop, readShop, type Shop } from '../modules/shops/service.ts'
import { type Config, readConfig } from '../runtime/config.ts'
import { type DatabaseUrl, socketUrl } from '../runtime/database-url.ts'
import { startEmbedded } from '../runtime/embedded.ts'
import { superuser } from '../runtime/embedded-folder.ts'
import { isServerOf, readPostmaster } from '../runtime/embedded-postmaster.ts'
import { ensureEventPartitions } from '../runtime/partitions.ts'
import { type Database, openDatabase } from '../runtime/pg.ts'
import { checkServer } from '../runtime/preflight.ts'
import { readTopology } from '../runtime/topology.ts'
import { CommandFailure } from './failure.ts'

/** As parseArgs takes them; the variables of `holdfast start` hold here too. */
export const databaseOptions = {
  'database-url': { type: 'string' },
  data: { type: 'string' },
  cells: { type: 'string' },
} as const
type DatabaseFlags = { [flag in keyof typeof databaseOptions]?: string }

export const databaseHelp = `  --database-url URL  your own PostgreSQL
  --data DIR          else the embedded one in this folder [.holdfast]
  --cells NAME        its cell [eu1]`

/** `make`: a data folder without a database gets one; else that is a failure, since the folder may be mistyped. */
export async function withDatabase<T>(
  flags: DatabaseFlags,
  work: (database: Database) => Promise<T>,
  { make = false } = {},
): Promise<T> {
  const { url, stop } = await reach(readConfig(flagsOf(flags), process.env), make)
  const database = openDatabase({ url, applicationName: 'holdfast command' })
  try {
    return await work(database)
  } finally {
    await database.close()
    await stop()
  }
}

/** Whose ids the command tells. */
export const cellNamed = (flags: DatabaseFlags): CellName =>
  readConfig(flagsOf(flags), process.env).cells[0]! as CellName

/**
 * The default shop, and a log that can tell what is changed of it, also where no server has ever run. Only the first cell
 * makes it: a shop of another's own would be another shop.
 */
export async function openShop(database: Database, cell: CellName): Promise<Shop> {
  await ensureEventPartitions(database)
  const topology = await readTopology(database)
  const first = topology ? firstCell(topology) : cell
  if (first === cell) return ensureShop(database, cell)
  const shop = await readShop(database)
  if (!shop) throw new CommandFailure('shop_not_received', `The shop has not come from ${first} yet: start both cells.`)
  return shop
}

const flagsOf = (flags: DatabaseFlags): string[] =>
  (Object.keys(databaseOptions) as (keyof DatabaseFlags)[]).flatMap((flag) =>
    flags[flag] === undefined ? [] : [`--${flag}=${flags[flag]}`],
  )

async function reach(
  { databaseUrl, data, cells }: Config,
  make: boolean,
): Promise<{ url: DatabaseUrl; stop(): Promise<void> }> {
  if (databaseUrl) {
    await checkServer(databaseUrl)
    return { url: databaseUrl, stop: async () => {} }
  }
  const folder = join(resolve(data), cells[0]!)
  if (!make && !existsSync(join(folder, 'pg', 'PG_VERSION')))
    throw new CommandFailure('no_cell', `There is no cell in ${folder}: name its --data folder, or a --database-url.`)
  const url = await urlOfRunning(folder)
  return url ? { url, stop: async () => {} } : startEmbedded({ folder })
}

/** Undefined when no server runs on the cell's folder. */
async function urlOfRunning(folder: string): Promise<DatabaseUrl | undefined> {
  const cluster = join(folder, 'pg')
  const found = await readPostmaster(cluster)
  if (found?.status !== 'ready' || !isServerOf(cluster, found.pid)) return undefined
  const password = (await readFile(join(folder, 'password'), 'utf8')).trim()
  return socketUrl({ folder: found.socketFolder, user: superuser, password, database: 'holdfast' })
}
