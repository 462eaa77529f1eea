// docs/generated/DATA.md: every table as the migrations leave it, with the statements that use it, and those statements.
import type { DatabaseUrl } from '../../src/runtime/database-url.ts'
import { listFiles, parseSource } from '../tidy/sources.ts'
import { type Statement, statementsIn, type Use } from './statements.ts'
import { readTables, type Table } from './tables.ts'

export async function dataPage(databaseUrl: DatabaseUrl): Promise<string> {
  const tables = await readTables(databaseUrl)
  const paths = listFiles().filter((path) => path.startsWith('src/') && path.endsWith('.ts'))
  const statements = statementsIn(
    paths.map((path) => parseSource(path)),
    tables.map(({ name }) => name),
  )
  const schemas = [...new Set(tables.map(schemaOf))]
  return [
    '# Data',
    '',
    'Made from the migrations, applied to an empty PostgreSQL and read back from its catalog, and from the SQL in `src/`.',
    'Partitions are left out: they are made ahead of time by the running cell. Where a statement is put together from parts,',
    'an ellipsis in braces stands for them, and what they touch is counted. “catalog”: looks at the table, not into it.',
    '',
    ...tables.map(({ name }) => `- [${name}](#${name.replace('.', '')})`),
    '',
    ...schemas.flatMap((schema) => [
      `## ${schema}`,
      '',
      ...tables.filter((table) => schemaOf(table) === schema).flatMap((table) => tableText(table, statements)),
    ]),
    '## Statements',
    '',
    ...statementTexts(statements),
  ].join('\n')
}

const schemaOf = ({ name }: Table): string => name.split('.')[0]!

function tableText(table: Table, statements: readonly Statement[]): string[] {
  const { name, partitionedBy, options, columns, constraints, indexes } = table
  const using = statements.filter(({ uses }) => uses.has(name))
  return [
    `### ${name}`,
    '',
    '| column | type | |',
    '|---|---|---|',
    ...columns.map((column) => `| ${column.name} | ${column.type} | ${cell(column.rest)} |`),
    '',
    ...constraints.map(({ definition }) => `- ${code(definition)}`),
    ...(partitionedBy ? [`- partitioned by ${code(partitionedBy)}`] : []),
    ...indexes.map((index) => `- index ${index.name}: ${code(index.definition)}`),
    ...(options.length > 0 ? [`- with ${code(options.join(', '))}`] : []),
    '',
    ...(using.length === 0 ? ['No statement uses it.', ''] : usersText(name, using)),
  ]
}

const useOrder: Use[] = ['reads', 'locks', 'inserts', 'updates', 'deletes', 'empties', 'alters', 'catalog']

function usersText(table: string, using: readonly Statement[]): string[] {
  const rows = using.map(({ name, path, uses }) => {
    const does = useOrder.filter((use) => uses.get(table)!.has(use)).join(', ')
    return `| \`${name}\` | ${does} | [${short(path)}](../../${path}) |`
  })
  return ['| statement | | in |', '|---|---|---|', ...rows, '']
}

const short = (path: string): string => path.replace(/^src\/(modules\/)?/, '')

function statementTexts(statements: readonly Statement[]): string[] {
  const paths = [...new Set(statements.map(({ path }) => path))]
  return paths.flatMap((path) => [
    `### ${short(path)}`,
    '',
    ...statements
      .filter((statement) => statement.path === path)
      .flatMap(({ name, text }) => [`\`${name}\``, '', '```sql', text, '```', '']),
  ])
}

const cell = (text: string): string => (text === '' ? '' : text.replaceAll('|', '\\|'))
const code = (text: string): string => `\`${text}\``
