// What `holdfast start` prints when it is ready: what runs, where, with which keys, and a first order to try.
import { join, resolve } from 'node:path'
import type { Config } from '../runtime/config.ts'
import { withoutPassword } from '../runtime/database-url.ts'

export type Welcome = { config: Config; ready: { url: string; postgres: string; adopted: boolean }; ms: number }

/** Text for people, or one JSON line when the logs are JSON. */
export function welcome({ config, ready, ms }: Welcome): string {
  const [cell] = config.cells
  const data = join(resolve(config.data), cell!)
  const database = config.databaseUrl
    ? withoutPassword(config.databaseUrl)
    : `embedded, data in ${data}${ready.adopted ? ' (taken over from an earlier run)' : ''}`
  if (config.jsonLogs)
    return `${JSON.stringify({ ready: true, url: ready.url, cell, postgres: ready.postgres, database, ms: Math.round(ms) })}\n`
  const development = config.profile === 'development'
  const keys = development ? 'sk_dev (server), pk_dev (storefront)' : 'made with holdfast keys'
  return [
    '',
    `Holdfast is ready after ${(ms / 1000).toFixed(1)} s. Ctrl-C stops it.`,
    '',
    `  API         ${ready.url}   (description at /docs, health at /readyz)`,
    `  cell        ${cell}, profile ${config.profile}`,
    `  PostgreSQL  ${ready.postgres}, ${database}`,
    `  keys        ${keys}`,
    '',
    ...(development ? firstOrder(ready.url) : []),
  ].join('\n')
}

const firstOrder = (url: string): string[] => [
  'Receive 100 units, then sell two of them:',
  '',
  ...curl(
    `${url}/v1/stock/adjustments`,
    'try-stock',
    '{"adjustments":[{"sku":"A-1","delta":100,"reason":"received"}]}',
  ),
  '',
  ...curl(
    `${url}/v1/orders`,
    'try-order',
    '{"currency":"EUR","lines":[{"sku":"A-1","quantity":2,"unit_price":{"amount":500,"currency":"EUR"}}]}',
  ),
  '',
  '',
]

const curl = (url: string, key: string, body: string): string[] => [
  `  curl -s ${url} -H 'Authorization: Bearer sk_dev' -H 'Idempotency-Key: ${key}' \\`,
  `    -H 'Content-Type: application/json' -d '${body}'`,
]
