// Routes of a shop's settings. A change counts at once in the process that took it, and in others when they next look the
// caller's key up, `keyRememberedMs` later at most.
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { CellName } from '../../base/ids.ts'
import { limits } from '../../base/limits.ts'
import { refused } from '../../base/result.ts'
import { closed, page, ref } from '../../base/schemas.ts'
import { toRfc3339 } from '../../base/time.ts'
import { etagOf, ifMatchOf, sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { Database } from '../../runtime/pg.ts'
import { defaultSettings, refusedSettings, SettingsBody, settingsOf } from './settings.ts'
import { addSettings, readHistory, readSettings, type SettingsRecord } from './settings-store.ts'
import type { Guard } from './types.ts'

export type SettingsRoutesOptions = {
  cell: CellName
  guard: Guard
  database: Pick<Database, 'query' | 'transaction'>
  keys: { forget(shopId: number): void }
}

export function settingsRoutes(app: FastifyInstance, { cell, guard, database, keys }: SettingsRoutesOptions): void {
  app.get(
    '/v1/settings',
    {
      onRequest: guard.allow('settings:read'),
      schema: documented({
        operationId: 'getSettings',
        summary: 'The shop’s settings, whole',
        tags: ['settings'],
        answers: { 200: ref('Settings') },
      }),
    },
    async ({ principal }, reply) => sendSettings(reply, await readSettings(database, principal.shopId)),
  )

  app.put<{ Body: SettingsBody }>(
    '/v1/settings',
    {
      onRequest: guard.allow('settings:write'),
      schema: documented({
        operationId: 'putSettings',
        summary: 'Set the shop’s settings',
        description: 'What is left out takes its default. Orders keep the terms that they were placed under.',
        tags: ['settings'],
        versioned: true,
        body: SettingsBody,
        answers: { 200: ref('Settings') },
        refusals: ['country_unknown', 'currency_unknown', 'precondition_failed'],
      }),
    },
    async (request, reply) => {
      const { shopId, keyId } = request.principal
      const settings = settingsOf(request.body)
      const refusal = refusedSettings(settings)
      if (refusal) return sendRefused(reply, refusal)
      const ifVersion = ifMatchOf(request)
      if (ifVersion === undefined) return sendRefused(reply, refused('precondition_failed'))
      const added = await database.transaction((session) =>
        addSettings(session, { shopId, keyId, ifVersion, settings, cell }),
      )
      if (!added) return sendRefused(reply, refused('precondition_failed'))
      keys.forget(shopId)
      return sendSettings(reply, added)
    },
  )

  app.get<{ Querystring: { limit?: number; cursor?: string } }>(
    '/v1/settings/history',
    {
      onRequest: guard.allow('settings:read'),
      schema: documented({
        operationId: 'listSettings',
        summary: 'Every version of the shop’s settings, newest first',
        tags: ['settings'],
        querystring: closed(page),
        answers: { 200: ref('SettingsList') },
        refusals: ['cursor_invalid'],
      }),
    },
    async ({ principal, query }, reply) => {
      const before = beforeOf(query.cursor)
      if (before === undefined) return sendRefused(reply, refused('cursor_invalid'))
      const limit = query.limit ?? limits.listLimitDefault
      const records = await readHistory(database, principal.shopId, before, limit + 1)
      const shown = records.slice(0, limit)
      const next = records.length > limit ? Buffer.from(String(shown.at(-1)!.version)).toString('base64url') : null
      return sendJson(reply, 200, JSON.stringify({ data: shown.map(settingsAnswer), next_cursor: next }))
    },
  )
}

const versionMax = 2 ** 31 - 1

function beforeOf(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return versionMax
  const text = Buffer.from(cursor, 'base64url').toString()
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined
}

export const settingsAnswer = ({ settings, version, changed_at, key_id }: SettingsRecord) => ({
  ...settingsOf(settings),
  version,
  changed_at: toRfc3339(changed_at) as string | null,
  changed_by: key_id as string | null,
})

const unset = { ...defaultSettings, version: 0, changed_at: null, changed_by: null }

function sendSettings(reply: FastifyReply, record: SettingsRecord | undefined): FastifyReply {
  const answer = record ? settingsAnswer(record) : unset
  return sendJson(reply.header('etag', etagOf(answer.version)), 200, JSON.stringify(answer))
}
