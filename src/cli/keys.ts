// holdfast keys: makes, lists and revokes the keys of a shop. A key's text is shown once, when it is made; only its hash is kept.
import { parseArgs } from 'node:util'
import type { CellName, Uuid } from '../base/ids.ts'
import { issueKey, keysOf, type Shop, withdrawKey } from '../modules/shops/service.ts'
import { type Key, type Scope, scopes } from '../modules/shops/types.ts'
import { systemClock } from '../runtime/clock.ts'
import type { Database } from '../runtime/pg.ts'
import { cellNamed, databaseHelp, databaseOptions, openShop, withDatabase } from './database.ts'
import { CommandFailure, usage } from './failure.ts'
import { formatTable } from './table.ts'

/** For imports, and for whoever runs the cell: given only when they are named. */
const unusual: Scope[] = ['import', 'consumers:write', 'cells:write']

export const keysHelp = `Usage: holdfast keys create --name NAME [--scopes A,B | --storefront] [options]
       holdfast keys list [options]
       holdfast keys revoke ID [options]

  --name NAME         who uses the key
  --scopes A,B        of ${scopes.join(', ')} [all but ${unusual.join(', ')}]
  --storefront        a pk_ key, which may be public, instead of a server's sk_ key
  --shop CODE         [default]
${databaseHelp}
  --json              the last line of standard output is one JSON object`

const options = {
  ...databaseOptions,
  name: { type: 'string' },
  scopes: { type: 'string' },
  storefront: { type: 'boolean', default: false },
  shop: { type: 'string', default: 'default' },
  json: { type: 'boolean', default: false },
} as const

type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values']
/** What people read, and the same for programs. */
type Told = { text: string; json: object }

export async function keys(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const work = workOf(positionals, values)
  const cell = cellNamed(values)
  const told = await withDatabase(values, async (database) =>
    work(database, { ...(await shopOf(database, cell, values.shop)), cell }),
  )
  console.log(told.text)
  if (values.json) console.log(JSON.stringify(told.json))
  return 0
}

type ShopHere = Shop & { cell: CellName }

/** Refuses what is wrong with the command before a database is opened. */
function workOf(
  [action, id, ...rest]: string[],
  values: Values,
): (database: Database, shop: ShopHere) => Promise<Told> {
  const [wanted, unwanted] = action === 'revoke' ? [id, rest] : [undefined, id === undefined ? [] : [id]]
  if (unwanted.length > 0) throw usage(`${unwanted[0]} is one word too many.`)
  if (action === 'list') return list
  if (action === 'create') return creation(values)
  if (action !== 'revoke') throw usage('Say create, list or revoke. See holdfast keys --help.')
  if (wanted === undefined || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(wanted))
    throw usage('Name the id of a key, as holdfast keys list shows it.')
  return (database, shop) => revoke(database, shop, wanted as Uuid)
}

/** Only the default shop is made on the way: a mistyped code must not become a shop. */
async function shopOf(database: Database, cell: CellName, code: string): Promise<Shop> {
  if (code !== 'default')
    throw new CommandFailure('shop_not_found', `There is no shop ${code}; this version has the shop default.`)
  return openShop(database, cell)
}

function creation({ name, scopes: text, storefront }: Values): (database: Database, shop: ShopHere) => Promise<Told> {
  if (!name) throw usage('--name is missing: say who uses the key.')
  if (storefront && text !== undefined) throw usage('A storefront key has scopes of its own: leave out --scopes.')
  const granted = text === undefined ? scopes.filter((scope) => !unusual.includes(scope)) : text.split(',')
  const unknown = granted.find((scope) => !(scopes as readonly string[]).includes(scope))
  if (unknown !== undefined) throw usage(`There is no scope ${unknown}; there are ${scopes.join(', ')}.`)
  return async (database, shop) => {
    const request = {
      shopId: shop.id,
      kind: storefront ? ('pk' as const) : ('sk' as const),
      name,
      scopes: granted as Scope[],
    }
    const { key, text: secret } = await issueKey(database, request, { cell: shop.cell, now: systemClock.now() })
    return {
      text: `${secret}\n\nKeep it: it is shown only now. Its id is ${key.id}.`,
      json: { key: wire(key), secret },
    }
  }
}

async function list(database: Database, shop: ShopHere): Promise<Told> {
  const found = await keysOf(database, shop.id)
  const rows = found.map((key) => [
    key.id,
    key.kind,
    key.name,
    key.createdAt,
    key.revokedAt ?? '',
    key.scopes.join(' '),
  ])
  const heads = ['Id', 'Kind', 'Name', 'Created', 'Revoked', 'Scopes'].map((head) => ({ head }))
  return { text: found.length === 0 ? 'There are no keys.' : formatTable(heads, rows), json: { keys: found.map(wire) } }
}

async function revoke(database: Database, shop: ShopHere, id: Uuid): Promise<Told> {
  const key = await withdrawKey(database, { shopId: shop.id, id }, shop.cell)
  if (!key) throw new CommandFailure('key_not_found', `The shop has no key ${id}.`)
  return { text: `${key.name} (${id}) is revoked; servers refuse it within a few seconds.`, json: { key: wire(key) } }
}

const wire = ({ createdAt, revokedAt, ...key }: Key) => ({ ...key, created_at: createdAt, revoked_at: revokedAt })
