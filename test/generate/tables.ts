// The tables of a migrated database, read from its catalog: what PostgreSQL made of the migrations, not what they say.
import type postgres from 'postgres'
import { type DatabaseUrl, openSql } from '../../src/runtime/database-url.ts'
import { migrate, readMigrations } from '../../src/runtime/migrate.ts'
import { openDatabase } from '../../src/runtime/pg.ts'
import { migrationSources } from '../../src/units.ts'

export type Column = { name: string; type: string; rest: string }
export type Table = {
  /** With its schema. */
  name: string
  partitionedBy: string | null
  options: string[]
  columns: Column[]
  /** Keys, checks and references, as PostgreSQL words them. */
  constraints: { kind: 'p' | 'u' | 'c' | 'f'; definition: string }[]
  indexes: { name: string; definition: string }[]
}

const tablesSql = `
  select c.oid, n.nspname || '.' || c.relname as name, pg_get_partkeydef(c.oid) as "partitionedBy",
    coalesce(to_json(c.reloptions), '[]') as options
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any ($1)
  order by array_position($1, n.nspname::text), c.oid`
const columnsSql = `
  select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
    concat_ws(' ', case when a.attnotnull then 'not null' end,
      case when a.attidentity <> '' then 'identity'
        when a.attgenerated <> '' then 'generated as ' || pg_get_expr(d.adbin, d.adrelid)
        when d.adbin is not null then 'default ' || pg_get_expr(d.adbin, d.adrelid) end,
      case when l.collname = 'C' then 'collate "C"' end) as rest
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    left join pg_collation l on l.oid = a.attcollation
  where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`
const constraintsSql = `
  select contype as kind, pg_get_constraintdef(oid, true) as definition from pg_constraint
  where conrelid = $1 and contype in ('p', 'u', 'c', 'f') order by position(contype::text in 'pufc'), conname`
const indexesSql = `
  select i.relname as name, regexp_replace(pg_get_indexdef(x.indexrelid), '^.* USING ', '') as definition
  from pg_index x join pg_class i on i.oid = x.indexrelid
  where x.indrelid = $1 and not exists (select from pg_constraint where conindid = x.indexrelid and contype in ('p', 'u'))
  order by i.relname`

/** Applies every migration to an empty database and reads what stands there then, in the order the modules migrate. */
export async function readTables(url: DatabaseUrl): Promise<Table[]> {
  const database = openDatabase({ url, applicationName: 'generate' })
  const sql = openSql(url, { max: 1, onnotice: () => {} })
  try {
    await migrate(database, await readMigrations(migrationSources))
    const schemas = migrationSources.map(({ module }) => module)
    const found = await sql.unsafe<(Table & { oid: number })[]>(tablesSql, [schemas])
    return await Promise.all(found.map((table) => withParts(sql, table)))
  } finally {
    await Promise.all([sql.end(), database.close()])
  }
}

async function withParts(sql: postgres.Sql, { oid, ...table }: Table & { oid: number }): Promise<Table> {
  const [columns, constraints, indexes] = await Promise.all([
    sql.unsafe<Column[]>(columnsSql, [oid]),
    sql.unsafe<Table['constraints']>(constraintsSql, [oid]),
    sql.unsafe<Table['indexes']>(indexesSql, [oid]),
  ])
  return { ...table, columns: [...columns], constraints: [...constraints], indexes: [...indexes] }
}
