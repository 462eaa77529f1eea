// A database of its own for each test file that asks for one, on the run's shared server. It is dropped when the file
// ends, and the file fails if one of its connections is still open then: a leak in a test is a leak in the code.
import { randomBytes } from 'node:crypto'
import type postgres from 'postgres'
import { inject } from 'vitest'
import { type DatabaseUrl, openSql, withDatabase } from '../../src/runtime/database-url.ts'
import { eventually } from './eventually.ts'

const created: DatabaseUrl[] = []

/** Shapes: a URL for openSql and openDatabase. Superuser; fsync is off. */
export async function createDatabase(): Promise<DatabaseUrl> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await asAdmin((sql) => sql.unsafe(`create database ${name}`))
  const url = withDatabase(inject('postgresUrl'), name)
  created.push(url)
  return url
}

/** For the cleanup after a file. Throws when a connection was left open. */
export async function dropDatabases(): Promise<void> {
  const leaks: string[] = []
  for (const url of created.splice(0)) {
    const name = new URL(url).pathname.slice(1)
    await asAdmin(async (sql) => {
      const open = () =>
        sql<
          { application_name: string; query: string }[]
        >`select application_name, query from pg_stat_activity where datname = ${name} and backend_type = 'client backend'`
      await eventually(async () => (await open()).length === 0).catch(async () => {
        for (const one of await open()) leaks.push(`${one.application_name}: ${one.query.slice(0, 200)}`)
      })
      await sql.unsafe(`drop database ${name} with (force)`)
    })
  }
  if (leaks.length > 0) throw new Error(`connections left open by this file:\n${leaks.join('\n')}`)
}

async function asAdmin<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = openSql(inject('postgresUrl'), { max: 1, onnotice: () => {} })
  try {
    return await work(sql)
  } finally {
    await sql.end()
  }
}
