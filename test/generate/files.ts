// Every file of the repository that a program writes, and what it should hold now. `npm run generate` writes them;
// test/tidy.test.ts compares them.
import { existsSync } from 'node:fs'
import { optionsPage } from '../../src/runtime/config-pages.ts'
import type { DatabaseUrl } from '../../src/runtime/database-url.ts'
import { readText, repository } from '../tidy/sources.ts'
import { dashboards } from './dashboards.ts'
import { dataPage } from './data-page.ts'
import { errorsPage } from './errors-page.ts'
import { metricsPage } from './metrics-page.ts'
import { openApiText } from './openapi.ts'
import { withResults } from './results.ts'
import { rulesText } from './rules.ts'
import { sdkTypes } from './sdk-types.ts'
import { settingsPage } from './settings-page.ts'
import { statesPage } from './states-page.ts'

export type GeneratedFile = { path: string; text: string }

/** `databaseUrl`: an empty database, for the tables. */
export async function* generatedFiles(databaseUrl: DatabaseUrl): AsyncGenerator<GeneratedFile> {
  yield { path: 'docs/generated/CONFIG.md', text: optionsPage() }
  yield { path: 'docs/generated/ERRORS.md', text: errorsPage() }
  yield { path: 'docs/generated/STATES.md', text: statesPage() }
  yield { path: 'docs/SETTINGS.md', text: settingsPage() }
  yield { path: 'docs/generated/DATA.md', text: await dataPage(databaseUrl) }
  yield { path: 'docs/generated/METRICS.md', text: await metricsPage(databaseUrl) } // after the tables: it fills some
  const openApi = await openApiText()
  yield { path: 'docs/generated/openapi.json', text: openApi }
  yield { path: 'sdk/src/generated/api.ts', text: await sdkTypes(openApi) }
  yield { path: 'deploy/observability/prometheus/rules.yml', text: rulesText() }
  yield* dashboards()
  const results = 'bench/results.jsonl'
  const recorded = existsSync(`${repository}/${results}`) ? readText(results) : ''
  yield { path: 'README.md', text: withResults(readText('README.md'), recorded) }
}
