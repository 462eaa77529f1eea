// holdfast doctor: looks at a deployment that runs, through its API and its databases, and says what is wrong and what to do. Exit
// code 1 when something is. It changes nothing.
import { parseArgs } from 'node:util'
import { databaseHelp, databaseOptions, withDatabase } from './database.ts'
import { lookAtCells } from './doctor-cells.ts'
import { lookAtDatabase } from './doctor-database.ts'
import type { Finding } from './doctor-findings.ts'
import { usage } from './failure.ts'

export const doctorHelp = `Usage: holdfast doctor --url URL --key KEY [--json]
       holdfast doctor [--database-url URL | --data DIR] [--json]

Of all cells that the one at URL knows: whether they answer and are ready, their versions, clocks, consumers, dead letters,
audits and objectives, and what they know of each other. Of a database: standbys, slots, long transactions, locks, dead rows,
settings and room. Both when both are named. It changes nothing. Exit code 1 when something is wrong.

  --url URL           one of the cells
  --key KEY           its key, with the scopes cells:read, consumers:read, dead-letters:read and audit:read
${databaseHelp}
  --transaction-seconds N
                      how long a transaction may be open [60]
  --json              the last line of standard output is one JSON object`

export async function doctor(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      ...databaseOptions,
      url: { type: 'string' },
      key: { type: 'string' },
      'transaction-seconds': { type: 'string', default: '60' },
      json: { type: 'boolean', default: false },
    },
  })
  const { url, key, json, 'transaction-seconds': wanted } = values
  if (url !== undefined && !URL.canParse(url))
    throw usage('--url must be the address of a running server, such as http://127.0.0.1:8080.')
  if (url !== undefined && !key) throw usage('--key is missing: the development profile accepts sk_dev.')
  const transactionSeconds = /^\d{1,6}$/.test(wanted) ? Number(wanted) : undefined
  if (transactionSeconds === undefined) throw usage('--transaction-seconds must be a number of seconds.')
  const isDatabaseNamed = [values['database-url'], values.data, values.cells].some((flag) => flag !== undefined)
  const findings: Finding[] = []
  if (url !== undefined) findings.push(...(await lookAtCells({ url, key: key! })))
  if (url === undefined || isDatabaseNamed)
    findings.push(...(await withDatabase(values, (database) => lookAtDatabase(database, { transactionSeconds }))))
  print(findings)
  if (json) console.log(JSON.stringify({ well: findings.length === 0, findings }))
  return findings.length === 0 ? 0 : 1
}

function print(findings: readonly Finding[]): void {
  if (findings.length === 0) console.log('Nothing is wrong.')
  for (const one of findings) console.log(`${one.where}: ${one.wrong}\n  ${one.do}`)
}
