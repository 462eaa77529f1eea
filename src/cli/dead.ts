// holdfast dead: what was given up, seen, tried again or dropped, beside the processes that run.
import { parseArgs } from 'node:util'
import type { CellName, ShopId } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { toRfc3339 } from '../base/time.ts'
import { droppedAnswer, letterAnswer } from '../modules/deadletters/routes.ts'
import { createDeadLetters, type DeadLetters } from '../modules/deadletters/service.ts'
import { deliverySource, eventSource, operationSource } from '../modules/deadletters/sources.ts'
import type { DropRecord } from '../modules/deadletters/store.ts'
import { type DeadKind, type DeadLetter, deadKinds } from '../modules/deadletters/types.ts'
import type { SubmitSettle } from '../modules/payments/executor.ts'
import { deadOperations } from '../modules/payments/service.ts'
import { deadDeliveries } from '../modules/webhooks/dead.ts'
import type { Database } from '../runtime/pg.ts'
import { cellNamed, databaseHelp, databaseOptions, openShop, withDatabase } from './database.ts'
import { CommandFailure, usage } from './failure.ts'
import { withSettling } from './settling.ts'
import { formatTable } from './table.ts'

export const deadHelp = `Usage: holdfast dead list [--kind KIND | --dropped] [options]
       holdfast dead show ID [options]
       holdfast dead retry ID… | --all [--kind KIND] [options]
       holdfast dead drop ID --reason TEXT [options]

Processes that run take up a retry within seconds.

  --kind KIND         ${deadKinds.join(', ')}
  --dropped           what was dropped, and why
  --all               all of them, or all of a kind
  --reason TEXT       why it is given up for good; it is kept
${databaseHelp}
  --json              the last line of standard output is one JSON object`

const options = {
  ...databaseOptions,
  kind: { type: 'string' },
  dropped: { type: 'boolean', default: false },
  all: { type: 'boolean', default: false },
  reason: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values']
type Told = { text: string; json: object }
type Work = (letters: DeadLetters, shopId: ShopId) => Promise<Told>

export async function dead(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const work = workOf(positionals, values)
  const told = await withDatabase(values, async (database) => {
    const cell = cellNamed(values)
    const shop = await openShop(database, cell)
    return withSettling(database, cell, (submit) => work(lettersOf(database, cell, submit), shop.id))
  })
  console.log(told.text)
  if (values.json) console.log(JSON.stringify(told.json))
  return 0
}

const lettersOf = (database: Database, cell: CellName, submit: SubmitSettle): DeadLetters =>
  createDeadLetters(database, [
    operationSource(deadOperations(database, submit), cell),
    deliverySource(deadDeliveries(database, cell)),
    eventSource(database),
  ])

/** Refuses what is wrong with the command before a database is opened. */
function workOf([action, ...ids]: string[], { kind: text, dropped, all, reason }: Values): Work {
  const kind = text === undefined ? null : (deadKinds.find((one) => one === text) ?? null)
  if (text !== undefined && kind === null) throw usage(`There is no kind ${text}; there are ${deadKinds.join(', ')}.`)
  switch (action) {
    case 'list':
      if (ids.length > 0) throw usage(`${ids[0]} is one word too many.`)
      return dropped ? listDropped : (letters, shopId) => list(letters, shopId, kind)
    case 'show':
      return (letters, shopId) => show(letters, shopId, oneOf(ids))
    case 'retry':
      if (all === ids.length > 0) throw usage('Name the ids of dead letters, or say --all.')
      return (letters, shopId) => retry(letters, shopId, all ? { kind } : ids)
    case 'drop': {
      const id = oneOf(ids)
      if (!reason || reason.length > limits.dropReasonCharactersMax)
        throw usage(`--reason is missing, or longer than ${limits.dropReasonCharactersMax} characters: say why.`)
      return (letters, shopId) => drop(letters, shopId, id, reason)
    }
    default:
      throw usage('Say list, show, retry or drop. See holdfast dead --help.')
  }
}

function oneOf([id, ...rest]: string[]): string {
  if (id === undefined || rest.length > 0)
    throw usage('Name the id of one dead letter, as holdfast dead list shows it.')
  return id
}

async function every(letters: DeadLetters, shopId: ShopId, kind: DeadKind | null): Promise<DeadLetter[]> {
  const found: DeadLetter[] = []
  for (let cursor: string | null = null, more = true; more; ) {
    const page = await letters.list(shopId, { kind, cursor, limit: limits.listLimitMax })
    if (!page.ok) throw new Error(`our own cursor was refused: ${page.code}`)
    found.push(...page.value.data)
    cursor = page.value.nextCursor
    more = cursor !== null
  }
  return found
}

async function list(letters: DeadLetters, shopId: ShopId, kind: DeadKind | null): Promise<Told> {
  const found = await every(letters, shopId, kind)
  return { text: tableOf(found), json: { dead_letters: found.map(letterAnswer) } }
}

function tableOf(found: readonly DeadLetter[]): string {
  if (found.length === 0) return 'There are no dead letters.'
  const heads = [
    { head: 'Id' },
    { head: 'Kind' },
    { head: 'Order' },
    { head: 'Since' },
    { head: 'Tries', align: 'right' as const },
    { head: 'Reason' },
  ]
  const rows = found.map(({ id, kind, orderId, since, tries, retryAskedAt, reason }) => [
    id,
    kind,
    orderId ?? '',
    toRfc3339(since),
    String(tries),
    retryAskedAt === null ? reason : `(retry asked for) ${reason}`,
  ])
  return formatTable(heads, rows)
}

async function listDropped(letters: DeadLetters, shopId: ShopId): Promise<Told> {
  const found: DropRecord[] = []
  for (let cursor: string | null = null, more = true; more; ) {
    const page = await letters.listDropped(shopId, { cursor, limit: limits.listLimitMax })
    if (!page.ok) throw new Error(`our own cursor was refused: ${page.code}`)
    found.push(...page.value.data)
    cursor = page.value.nextCursor
    more = cursor !== null
  }
  const heads = ['Id', 'Kind', 'Dropped', 'Why'].map((head) => ({ head }))
  const rows = found.map(({ letter, droppedAt, reason }) => [letter.id, letter.kind, toRfc3339(droppedAt), reason])
  const text = found.length === 0 ? 'None was dropped.' : formatTable(heads, rows)
  return { text, json: { dropped: found.map(droppedAnswer) } }
}

async function show(letters: DeadLetters, shopId: ShopId, id: string): Promise<Told> {
  const letter = await letters.get(shopId, id)
  if (!letter) throw notFound(id)
  return { text: JSON.stringify(letterAnswer(letter), null, 2), json: { dead_letter: letterAnswer(letter) } }
}

const notFound = (id: string) => new CommandFailure('dead_letter_not_found', `There is no dead letter ${id}.`)

async function retry(letters: DeadLetters, shopId: ShopId, which: string[] | { kind: DeadKind | null }): Promise<Told> {
  const ids = Array.isArray(which) ? which : (await every(letters, shopId, which.kind)).map((letter) => letter.id)
  const retried: string[] = []
  for (const id of ids) {
    const asked = await letters.retry(shopId, id)
    if (asked.ok) retried.push(asked.value.id)
    else if (Array.isArray(which)) throw notFound(id) // of all, one may have gone meanwhile
  }
  return { text: `${retried.length} will be tried again.`, json: { retried } }
}

async function drop(letters: DeadLetters, shopId: ShopId, id: string, reason: string): Promise<Told> {
  const dropped = await letters.drop(shopId, id, { reason, keyId: null })
  if (!dropped.ok) {
    if (dropped.code === 'not_found') throw notFound(id)
    throw new CommandFailure(
      dropped.code,
      'An earlier event of the same subject stands aside: retry or drop that first.',
    )
  }
  return { text: `${id} is dropped.`, json: { dropped: letterAnswer(dropped.value) } }
}
