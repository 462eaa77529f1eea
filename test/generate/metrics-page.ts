// docs/generated/METRICS.md: what a cell tells at GET /metrics, from the very registry of one that runs.
import { generateKeyPairSync } from 'node:crypto'
import { pino } from 'pino'
import type { CellName } from '../../src/base/ids.ts'
import { buildCell } from '../../src/cell.ts'
import type { DatabaseUrl } from '../../src/runtime/database-url.ts'
import { migrate, readMigrations } from '../../src/runtime/migrate.ts'
import { openDatabase } from '../../src/runtime/pg.ts'
import { migrationSources } from '../../src/units.ts'

export async function metricsPage(url: DatabaseUrl): Promise<string> {
  const database = openDatabase({ url, applicationName: 'generate', synchronousCommit: 'local' })
  try {
    await migrate(database, await readMigrations(migrationSources))
    const parts = await buildCell({
      cell: 'eu1' as CellName,
      database,
      config: { lanes: 2, profile: 'development' },
      log: pino({ level: 'silent' }),
      key: generateKeyPairSync('ed25519').privateKey,
    })
    try {
      return pageOf((await parts.app.inject('/metrics')).body)
    } finally {
      await parts.stop()
    }
  } finally {
    await database.close()
  }
}

function pageOf(exposition: string): string {
  const helps = new Map([...exposition.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name, help]) => [name!, help!]))
  const types = [...exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => ({ name: name!, type }))
  const ours = types.filter(({ name }) => name.startsWith('holdfast_')).sort((a, b) => (a.name < b.name ? -1 : 1))
  return [
    '# Metrics',
    '',
    'Made from the registry of a cell that runs. `GET /metrics` needs no key and tells them in Prometheus’ text format, each with the',
    'label `cell`; those of Node and of the process (`nodejs_*`, `process_*`) stand beside them. Labels have few values: routes are',
    'templates, and no SKU, order, customer or key is ever one. [Rules, alerts and dashboards](../../deploy/observability/README.md).',
    '',
    '| metric | kind | what it tells |',
    '|---|---|---|',
    ...ours.map(({ name, type }) => `| \`${name}\` | ${type} | ${helps.get(name)!.replaceAll('|', '\\|')} |`),
    '',
  ].join('\n')
}
