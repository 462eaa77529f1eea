// holdfast consumer: shows the consumers of the log and steers them, beside the processes that run them.
import { parseArgs } from 'node:util'
import { consumerAnswer } from '../gateway/consumers.ts'
import {
  type ConsumerState,
  findConsumer,
  listConsumers,
  rewindConsumer,
  setPaused,
} from '../runtime/consumers-admin.ts'
import { knownLives } from '../runtime/incarnation.ts'
import type { Database } from '../runtime/pg.ts'
import { databaseHelp, databaseOptions, withDatabase } from './database.ts'
import { CommandFailure, usage } from './failure.ts'
import { formatTable } from './table.ts'

export const consumerHelp = `Usage: holdfast consumer list [options]
       holdfast consumer pause NAME [options]
       holdfast consumer resume NAME [options]
       holdfast consumer rewind NAME --to POSITION|start [options]

Processes that run heed it within a second. A rewound consumer reads again and applies only what it has not applied.

  --to POSITION       as consumer list shows it, or start: the oldest event kept
  --force             forward too; what is skipped is not applied
${databaseHelp}
  --json              the last line of standard output is one JSON object`

const options = {
  ...databaseOptions,
  to: { type: 'string' },
  force: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values']

export async function consumer(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const work = workOf(positionals, values)
  const found = await withDatabase(values, work)
  console.log(tableOf(found))
  if (values.json) console.log(JSON.stringify({ consumers: found.map(consumerAnswer) }))
  return 0
}

type Work = (database: Database) => Promise<ConsumerState[]>

/** Refuses what is wrong with the command before a database is opened. */
function workOf([action, name, ...rest]: string[], { to, force }: Values): Work {
  if (rest.length > 0) throw usage(`${rest[0]} is one word too many.`)
  if (action === 'list') {
    if (name !== undefined) throw usage(`${name} is one word too many.`)
    return listConsumers
  }
  if (!['pause', 'resume', 'rewind'].includes(action ?? ''))
    throw usage('Say list, pause, resume or rewind. See holdfast consumer --help.')
  if (name === undefined) throw usage('Name a consumer, as holdfast consumer list shows it.')
  if (action !== 'rewind') return (database) => pause(database, name, action === 'pause')
  if (to === undefined) throw usage('--to is missing: a position, or start.')
  return (database) => rewind(database, { name, to, force })
}

async function pause(database: Database, name: string, paused: boolean): Promise<ConsumerState[]> {
  if (!(await setPaused(database, name, paused))) throw unknown(name)
  return one(database, name)
}

const refusals: Record<string, string> = {
  cursor_invalid: 'The position is none of this database: holdfast consumer list shows some.',
  position_expired: 'The position is older than the events that are kept: say --to start.',
  position_ahead: 'The position is ahead of the consumer: say --force to skip what is between, or of the log itself.',
}

async function rewind(
  database: Database,
  wanted: { name: string; to: string; force: boolean },
): Promise<ConsumerState[]> {
  const rewound = await rewindConsumer(database, await knownLives(database), wanted)
  if (!rewound.ok) {
    const line = refusals[rewound.code]
    throw line ? new CommandFailure(rewound.code, line) : unknown(wanted.name)
  }
  return one(database, wanted.name)
}

const unknown = (name: string) => new CommandFailure('consumer_not_found', `No consumer ${name} has ever run here.`)

async function one(database: Database, name: string): Promise<ConsumerState[]> {
  const found = await findConsumer(database, name)
  if (!found) throw unknown(name)
  return [found]
}

function tableOf(consumers: readonly ConsumerState[]): string {
  if (consumers.length === 0) return 'No consumer has ever run here.'
  const right = (head: string) => ({ head, align: 'right' as const })
  const heads = [
    { head: 'Name' },
    { head: 'State' },
    right('Behind'),
    right('Seconds'),
    right('Dead'),
    { head: 'Position' },
  ]
  const rows = consumers.map(({ name, paused, lagEvents, lagSeconds, dead, position }) => [
    name,
    paused ? 'paused' : 'on',
    String(lagEvents),
    String(lagSeconds),
    String(dead),
    position,
  ])
  return formatTable(heads, rows)
}
