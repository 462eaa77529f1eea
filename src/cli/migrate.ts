// holdfast migrate: brings a database to the schema of this code, ahead of a start or beside running servers.
import { parseArgs } from 'node:util'
import { migrate as applyMigrations, readMigrations } from '../runtime/migrate.ts'
import { migrationSources } from '../units.ts'
import { databaseHelp, databaseOptions, withDatabase } from './database.ts'

export const migrateHelp = `Usage: holdfast migrate [options]

Applies the migrations that the database does not have yet; harmless when it has them all.

${databaseHelp}
  --json              the last line of standard output is one JSON object`

export async function migrate(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { ...databaseOptions, json: { type: 'boolean', default: false } } })
  const migrations = await readMigrations(migrationSources)
  const applied = await withDatabase(values, (database) => applyMigrations(database, migrations), { make: true })
  console.log(applied.length === 0 ? 'Nothing to do: the database is up to date.' : `Applied ${applied.join(', ')}.`)
  if (values.json) console.log(JSON.stringify({ applied, migrations: migrations.length }))
  return 0
}
