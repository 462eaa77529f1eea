// holdfast settings: a shop's settings, through the database. Servers that run see a change within a few seconds.
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { CellName, ShopId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import type { Refused } from '../base/result.ts'
import { toRfc3339 } from '../base/time.ts'
import { defaultSettings, refusedSettings, SettingsBody, settingRows, settingsOf } from '../modules/shops/settings.ts'
import { settingsAnswer } from '../modules/shops/settings-routes.ts'
import { addSettings, readHistory, readSettings, type SettingsRecord } from '../modules/shops/settings-store.ts'
import { compileBody, schemaRefusal } from '../runtime/http.ts'
import type { Database } from '../runtime/pg.ts'
import { cellNamed, databaseHelp, databaseOptions, openShop, withDatabase } from './database.ts'
import { CommandFailure, usage } from './failure.ts'
import { formatTable } from './table.ts'

export const settingsHelp = `Usage: holdfast settings show [options]
       holdfast settings set NAME=VALUE… [options]
       holdfast settings set --file FILE [options]
       holdfast settings history [options]

  NAME=VALUE          of ${settingRows()
    .map(({ name }) => name)
    .join(', ')};
                      the others stay. Lists and amounts as JSON: risk.refuse.countries='["XX"]'
  --file FILE         all settings as JSON, as show --json tells them; what is left out takes its default
${databaseHelp}
  --json              the last line of standard output is one JSON object`

const options = {
  ...databaseOptions,
  file: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values']
type Told = { text: string; json: object }
type At = { shopId: ShopId; cell: CellName }
type Change = (current: SettingsBody) => SettingsBody

export async function settings(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const work = await workOf(positionals, values)
  const cell = cellNamed(values)
  const told = await withDatabase(values, async (database) =>
    work(database, { shopId: (await openShop(database, cell)).id, cell }),
  )
  console.log(told.text)
  if (values.json) console.log(JSON.stringify(told.json))
  return 0
}

/** Refuses what is wrong with the command before a database is opened. */
async function workOf(
  [action, ...words]: string[],
  { file }: Values,
): Promise<(database: Database, at: At) => Promise<Told>> {
  if (action !== 'set' && words.length > 0) throw usage(`${words[0]} is one word too many.`)
  switch (action) {
    case 'show':
      return async (database, { shopId }) => shown(await readSettings(database, shopId))
    case 'history':
      return history
    case 'set': {
      if ((file === undefined) === (words.length === 0)) throw usage('Say NAME=VALUE, or --file FILE.')
      const change = file === undefined ? changeOf(words) : wholeOf(await textOf(file))
      return async (database, at) => shown(await set(database, at, change))
    }
    default:
      throw usage('Say show, set or history. See holdfast settings --help.')
  }
}

const textOf = (file: string): Promise<string> =>
  readFile(file, 'utf8').catch((error) => {
    throw usage(`${(error as Error).message}.`)
  })

function wholeOf(text: string): Change {
  const body = jsonOr(text, undefined) as SettingsBody | undefined
  if (body === undefined) throw usage('The file is not JSON.')
  return () => body
}

function changeOf(words: readonly string[]): Change {
  const names = new Set(settingRows().map(({ name }) => name))
  const changes = words.map((word): [string, unknown] => {
    const at = word.indexOf('=')
    const name = word.slice(0, at)
    if (at < 1 || !names.has(name)) throw usage(`${word} is no setting: say NAME=VALUE. See holdfast settings --help.`)
    const value = word.slice(at + 1)
    return [name, jsonOr(value, value)]
  })
  return (current) => {
    const changed = structuredClone(current) as Record<string, unknown>
    for (const [name, value] of changes) {
      const path = name.split('.')
      const last = path.pop()!
      let inner = changed
      for (const step of path) inner = inner[step] as Record<string, unknown>
      inner[last] = value
    }
    return changed as SettingsBody
  }
}

/** `900` is a number; what is no JSON is a word. */
function jsonOr(text: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return otherwise
  }
}

const isBody = compileBody(SettingsBody)

async function set(database: Database, { shopId, cell }: At, change: Change): Promise<SettingsRecord> {
  const current = await readSettings(database, shopId)
  const body = change(current ? settingsOf(current.settings) : defaultSettings)
  if (!isBody(body)) throw asFailure(schemaRefusal(isBody.errors!, null))
  const wanted = settingsOf(body)
  const refusal = refusedSettings(wanted)
  if (refusal) throw asFailure(refusal)
  const seen = { shopId, keyId: null, ifVersion: current?.version ?? 0, settings: wanted, cell }
  const added = await database.transaction((session) => addSettings(session, seen))
  if (!added)
    throw new CommandFailure('precondition_failed', 'Somebody else has set them meanwhile: look, and try again.')
  return added
}

function asFailure({ code, detail, errors }: Refused): CommandFailure {
  const field = errors![0]!.pointer.slice(1).replaceAll('/', '.')
  return new CommandFailure(code, `${field}: ${detail ?? code.replaceAll('_', ' ')}.`)
}

const answerOf = (record: SettingsRecord | undefined) =>
  record ? settingsAnswer(record) : { ...defaultSettings, version: 0, changed_at: null, changed_by: null }

function shown(record: SettingsRecord | undefined): Told {
  const answer = answerOf(record)
  const rows = settingRows().map(({ name, default: value }) => {
    const now = name.split('.').reduce<unknown>((inner, step) => (inner as Record<string, unknown>)[step], answer)
    const [text, standard] = [JSON.stringify(now), JSON.stringify(value)]
    return [name, text, text === standard ? '' : standard]
  })
  const heads = ['Setting', 'Value', 'Default'].map((head) => ({ head }))
  return { text: `Version ${answer.version}\n${formatTable(heads, rows)}`, json: { settings: answer } }
}

async function history(database: Database, { shopId }: At): Promise<Told> {
  const found = await readHistory(database, shopId, 2 ** 31 - 1, limits.listLimitMax)
  const heads = ['Version', 'Changed', 'By'].map((head) => ({ head }))
  const rows = found.map(({ version, changed_at, key_id }) => [String(version), toRfc3339(changed_at), key_id ?? ''])
  const text = found.length === 0 ? 'Nothing was ever set.' : formatTable(heads, rows)
  return { text, json: { settings: found.map(settingsAnswer) } }
}
