// Brings a database to the schema of this code. Migrations are append-only folders `NNNN_name` that hold `up.sql` and, when
// useful, `before.sql` and `after.sql`: checks whose rows say what is wrong. Each runs once, in one transaction with its
// checks and its record, however many processes start together.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../base/limits.ts'
import { type Database, runTransaction } from './pg.ts'
import { StatementFailed } from './pg-failure.ts'
import type { Session } from './pg-session.ts'

/** Migrations of one module, in a folder of their own. */
export type MigrationSource = { module: string; folder: string }

export type Migration = { module: string; name: string; up: string; before?: string; after?: string; checksum: string }

/** Our code and this database do not fit, or a check found something: an operator has to look. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused'
  readonly migration: string
  constructor(migration: string, message: string) {
    super(`${migration}: ${message}`)
    this.migration = migration
  }
}

const folderPattern = /^\d{4}_[a-z0-9_]+$/
const known = new Set(['up.sql', 'before.sql', 'after.sql'])

/** All migrations in the order they run: sources as given, folders by name. Refuses what it does not understand. */
export async function readMigrations(sources: readonly MigrationSource[]): Promise<Migration[]> {
  const perSource = await Promise.all(
    sources.map(async ({ module, folder }) => {
      const names = (await readdir(folder)).sort()
      const migrations = await Promise.all(names.map((name) => readMigration(module, name, join(folder, name))))
      refuseGaps(module, names)
      return migrations
    }),
  )
  return perSource.flat()
}

async function readMigration(module: string, name: string, folder: string): Promise<Migration> {
  if (!folderPattern.test(name))
    throw new MigrationRefused(`${module}/${name}`, 'a migration is a folder named NNNN_name')
  const texts = new Map<string, string>()
  for (const file of (await readdir(folder)).sort()) {
    if (!known.has(file)) throw new MigrationRefused(`${module}/${name}`, `${file} is none of ${[...known].join(', ')}`)
    texts.set(file, await readFile(join(folder, file), 'utf8'))
  }
  const up = texts.get('up.sql')
  if (up === undefined) throw new MigrationRefused(`${module}/${name}`, 'up.sql is missing')
  // Only up.sql has changed the database; a check may be corrected afterwards. Line ends are git's business.
  const checksum = createHash('sha256').update(up.replaceAll('\r\n', '\n')).digest('hex')
  return { module, name, up, before: texts.get('before.sql'), after: texts.get('after.sql'), checksum }
}

function refuseGaps(module: string, names: readonly string[]): void {
  names.forEach((name, at) => {
    if (Number(name.slice(0, 4)) !== at + 1)
      throw new MigrationRefused(`${module}/${name}`, `number ${at + 1} was expected here`)
  })
}

/** Applies what is missing and answers its names. Throws MigrationRefused, and then the database is as it was before that one. */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<string[]> {
  const session = await database.openSession('migrate', {
    statementMsMax: limits.migrationStatementMsMax,
    lockMsMax: 0,
  })
  try {
    // Held by the session, so that it covers every transaction below and falls with the process.
    await session.run('select pg_advisory_lock(hashtext($1))', ['holdfast.migrate'])
    // The lock is ours; from here on a wait for a lock is a wait for traffic, which must stay short.
    await session.run(`set lock_timeout = ${limits.migrationLockMsMax}`)
    await runTransaction(session, (transaction) => transaction.script(recordTableSql))
    const applied = await readApplied(session)
    refuseMismatch(migrations, applied)
    const missing = migrations.filter((one) => !applied.has(nameOf(one)))
    for (const migration of missing) await applyWithPatience(session, migration)
    return missing.map(nameOf)
  } finally {
    await session.close()
  }
}

/** The names that `migrate` would apply. */
export async function pendingMigrations(database: Database, migrations: readonly Migration[]): Promise<string[]> {
  const [found] = await database.query<{ there: boolean }>(
    `select to_regclass('runtime.migrations') is not null as there`,
  )
  if (!found!.there) return migrations.map(nameOf)
  const applied = await readApplied(database)
  refuseMismatch(migrations, applied)
  return migrations.map(nameOf).filter((name) => !applied.has(name))
}

const recordTableSql = `
  create schema if not exists runtime;
  create table if not exists runtime.migrations (
    module text not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (module, name)
  )`

const nameOf = (migration: { module: string; name: string }): string => `${migration.module}/${migration.name}`

type Applied = Map<string, string>

async function readApplied(from: Pick<Session, 'run'> | Pick<Database, 'query'>): Promise<Applied> {
  const text = 'select module, name, checksum from runtime.migrations'
  type Row = { module: string; name: string; checksum: string }
  const rows = 'run' in from ? await from.run<Row>(text) : await from.query<Row>(text)
  return new Map(rows.map((row) => [nameOf(row), row.checksum]))
}

function refuseMismatch(migrations: readonly Migration[], applied: Applied): void {
  const ours = new Map(migrations.map((one) => [nameOf(one), one]))
  for (const [name, checksum] of applied) {
    const own = ours.get(name)
    if (!own)
      throw new MigrationRefused(name, 'the database is newer than this code: it has a migration that we do not know')
    if (own.checksum !== checksum) {
      throw new MigrationRefused(
        name,
        'up.sql was changed after it had been applied here; write a new migration instead',
      )
    }
  }
}

/** A lock that is not had soon is asked for again, so that traffic is never queued behind a waiting DDL statement. */
async function applyWithPatience(session: Session, migration: Migration): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await runTransaction(session, (transaction) => apply(transaction, migration))
    } catch (error) {
      const waited = error instanceof StatementFailed && error.code === '55P03'
      if (error instanceof StatementFailed && !waited) throw new MigrationRefused(nameOf(migration), error.message)
      if (!waited || attempt >= limits.migrationLockAttemptsMax) throw error
    }
    await delay(Math.random() * limits.migrationLockMsMax)
  }
}

async function apply(session: Session, migration: Migration): Promise<void> {
  await check(session, migration, 'before', migration.before)
  await session.script(migration.up)
  await check(session, migration, 'after', migration.after)
  await session.run('insert into runtime.migrations (module, name, checksum) values ($1, $2, $3)', [
    migration.module,
    migration.name,
    migration.checksum,
  ])
}

async function check(session: Session, migration: Migration, when: string, text: string | undefined): Promise<void> {
  if (text === undefined) return
  const wrong = await session.run(text.trim().replace(/;$/, ''))
  if (wrong.length === 0) return
  const shown = wrong.slice(0, 5).map((row) => JSON.stringify(row))
  throw new MigrationRefused(nameOf(migration), `the check ${when} it found ${wrong.length}: ${shown.join(' ')}`)
}
