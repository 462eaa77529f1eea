// What `holdfast start` prints when it is ready: what runs, where, with which keys, and what to try first.
import { join, resolve } from 'node:path'
import type { Config } from '../runtime/config.ts'
import { withoutPassword } from '../runtime/database-url.ts'
import type { CellReady } from './cell.ts'

/** `ready` has at least one cell, in the order of their ports. */
export type Welcome = { config: Config; ready: readonly CellReady[]; ms: number }

/** Text for people, or one JSON line when the logs are JSON. */
export function welcome({ config, ready, ms }: Welcome): string {
  const [{ cell, url, postgres }] = ready as [CellReady]
  const database = databaseOf(config, ready)
  if (config.jsonLogs) {
    const cells = ready.map((one) => ({ cell: one.cell, url: one.url }))
    return `${JSON.stringify({ ready: true, url, cell, cells, postgres, database, ms: Math.round(ms) })}\n`
  }
  const development = config.profile === 'development'
  const keys = development ? 'sk_dev (server), pk_dev (storefront)' : 'made with holdfast keys'
  return [
    '',
    `Holdfast is ready after ${(ms / 1000).toFixed(1)} s. Ctrl-C stops it.`,
    '',
    `  open        ${url}   the control room`,
    ...apiLines(ready),
    `  profile     ${config.profile}`,
    `  PostgreSQL  ${postgres}, ${database}`,
    `  keys        ${keys}`,
    '',
    ...(development ? firstOrder(ready) : []),
  ].join('\n')
}

function databaseOf(config: Config, ready: readonly CellReady[]): string {
  if (config.databaseUrl) return withoutPassword(config.databaseUrl)
  const folders = ready.map(({ cell, adopted }) => {
    const folder = join(resolve(config.data), cell)
    return adopted ? `${folder} (taken over from an earlier run)` : folder
  })
  return `embedded, data in ${folders.join(', ')}`
}

const apiLines = (ready: readonly CellReady[]): string[] =>
  ready.map(({ cell, url }, at) =>
    at === 0
      ? `  API         ${url}   ${cell}   (description at /docs, health at /readyz)`
      : `              ${url}   ${cell}`,
  )

/** With several cells: bought in one, read in another. */
function firstOrder(ready: readonly CellReady[]): string[] {
  const first = ready[0]!
  const second = ready[1] ?? first
  const last = ready.at(-1)!
  const isAlone = ready.length === 1
  const read = `  curl -s ${last.url}/v1/orders/<id of the answer> -H 'Authorization: Bearer sk_dev'`
  return [
    isAlone
      ? 'Receive 100 units, then sell two of them:'
      : `Receive 100 units in ${first.cell}, sell two of them in ${second.cell}, read the order in ${last.cell}:`,
    '',
    ...curl(
      `${first.url}/v1/stock/adjustments`,
      'try-stock',
      '{"adjustments":[{"sku":"A-1","delta":100,"reason":"received"}]}',
    ),
    '',
    ...curl(
      `${second.url}/v1/orders`,
      'try-order',
      '{"currency":"EUR","lines":[{"sku":"A-1","quantity":2,"unit_price":{"amount":500,"currency":"EUR"}}]}',
    ),
    ...(isAlone ? [] : ['', read]),
    '',
    '',
  ]
}

const curl = (url: string, key: string, body: string): string[] => [
  `  curl -s ${url} -H 'Authorization: Bearer sk_dev' -H 'Idempotency-Key: ${key}' \\`,
  `    -H 'Content-Type: application/json' -d '${body}'`,
]
