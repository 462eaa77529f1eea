// holdfast cells: the cells of a system as one of them knows them, and how they are added, drained and removed; and those that
// the holdfast start of a data folder runs, stopped and started one by one.
import { parseArgs } from 'node:util'
import { type Client, createClient } from '@holdfast/sdk'
import { type CellName, isCellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type CellTerms, durabilities, onIsolations } from '../base/topology.ts'
import { controlCells, tellKey } from './cells-control.ts'
import { addCell, changeCell, listCells, type Newcomer, removeCell, setTerms } from './cells-topology.ts'
import { usage } from './failure.ts'

export const cellsHelp = `Usage: holdfast cells list --url URL [--key KEY]
       holdfast cells add NAME --at URL [--its-key KEY] [--zone ZONE] [--durability local|geo]
                              [--on-isolation sell|stop] [--standby REGION]
       holdfast cells set NAME [--durability local|geo] [--on-isolation sell|stop] [--standby REGION|none]
       holdfast cells drain | activate | remove NAME
       holdfast cells list | stop NAME | start NAME | add NAME | key NAME [--data DIR]

All but the last line are about the topology, at any cell that runs; all others hear of it within a second. set changes what a cell
promises while it runs: local also takes its standby away, unless told where that stays. add brings in a cell
that runs alone at --at. One that drains takes nothing new; when list says that it is emptied, it can be removed, and its name
is never used again. The last line is about the cells that a holdfast start runs on this machine: stop lets one answer what it
has taken and stops its processes, PostgreSQL included, while the others go on; start answers when it is ready again; add makes
another one on the next free port. key tells the public key of a cell, for a topology of your own, and makes its private one.

  --url URL           a running cell [http://127.0.0.1:8080]
  --key KEY           its key, with the scopes cells:read and cells:write [sk_dev]
  --at URL            where clients and the other cells call the new one
  --its-key KEY       the key of the new one [that of --key]
  --zone ZONE         for a region that is in no zone yet
  --durability WORD   local, or geo: nothing is answered before its standby has it [local]
  --on-isolation WORD what it does while it hears no other cell: sell or stop [sell]
  --standby REGION    where its standby is; none: nowhere
  --data DIR          of the holdfast start that runs them [.holdfast]
  --json              the last line of standard output is one JSON object`

const options = {
  url: { type: 'string' },
  key: { type: 'string', default: 'sk_dev' },
  at: { type: 'string' },
  'its-key': { type: 'string' },
  zone: { type: 'string' },
  durability: { type: 'string' },
  'on-isolation': { type: 'string' },
  standby: { type: 'string' },
  data: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const
type Values = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values']
/** What people read, and the same for programs. */
export type Told = { text: string; json: object }

export async function cells(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const told = await workOf(positionals, values)()
  console.log(told.text)
  if (values.json) console.log(JSON.stringify(told.json))
  return 0
}

/** Refuses what is wrong with the command before anybody is asked. */
function workOf([action, name, ...rest]: string[], values: Values): () => Promise<Told> {
  if (rest.length > 0) throw usage(`${rest[0]} is one word too many.`)
  if (action === 'list') {
    if (name !== undefined) throw usage(`${name} is one word too many.`)
    return values.url === undefined
      ? () => controlCells(values.data, { do: 'list' })
      : () => listCells(clientOf(values))
  }
  const cell = (): CellName => {
    if (name === undefined || !isCellName(name)) throw usage(`Name a cell to ${action}, such as eu1.`)
    return name
  }
  switch (action) {
    case 'stop':
    case 'start': {
      const request = { do: action, cell: cell() } as const
      return () => controlCells(values.data, request)
    }
    case 'key': {
      const whose = cell()
      return () => tellKey(values.data, whose)
    }
    case 'drain':
    case 'activate': {
      const change = { kind: action, name: cell() } as const
      return () => changeCell(clientOf(values), change)
    }
    case 'set': {
      const change = { name: cell(), terms: termsIn(values) }
      if (Object.keys(change.terms).length === 0) throw usage('Say --durability, --on-isolation or --standby.')
      return () => setTerms(clientOf(values), change, (url) => clientOf({ ...values, url }))
    }
    case 'remove': {
      const gone = cell()
      return () => removeCell(clientOf(values), gone, (url) => clientOf({ ...values, url }))
    }
    case 'add': {
      if (values.at === undefined && values.url === undefined) {
        const request = { do: 'add', cell: cell() } as const
        return () => controlCells(values.data, request)
      }
      const newcomer = newcomerOf(cell(), values)
      const its = clientOf({ url: newcomer.url, key: values['its-key'] ?? values.key })
      return () => addCell(clientOf(values), newcomer, its)
    }
    default:
      throw usage('Say list, add, set, drain, activate, remove, stop, start or key. See holdfast cells --help.')
  }
}

function clientOf({ url = 'http://127.0.0.1:8080', key }: Pick<Values, 'url' | 'key'>): Client {
  if (!URL.canParse(url)) throw usage(`${url} is no address of a cell.`)
  return createClient({ url, key, deadlineMs: limits.cellCommandMsMax })
}

function newcomerOf(name: CellName, values: Values): Newcomer {
  if (values.at === undefined || !URL.canParse(values.at))
    throw usage('--at must be the address of the new cell, such as https://us1.example.com.')
  const { zone } = values
  return {
    name,
    url: new URL(values.at).origin,
    ...{ durability: 'local', onIsolation: 'sell', standby: null, ...termsIn(values) },
    ...(zone === undefined ? {} : { zone }),
  }
}

/** Those that were said. */
function termsIn({ durability, 'on-isolation': onIsolation, standby }: Values): Partial<CellTerms> {
  const isLocal = durability === 'local' && standby === undefined
  return {
    ...(durability === undefined ? {} : { durability: wordOf('--durability', durability, durabilities) }),
    ...(onIsolation === undefined ? {} : { onIsolation: wordOf('--on-isolation', onIsolation, onIsolations) }),
    ...(standby === undefined ? {} : { standby: standby === 'none' ? null : { region: standby } }),
    ...(isLocal ? { standby: null } : {}),
  }
}

function wordOf<T extends string>(flag: string, text: string, words: readonly T[]): T {
  const found = words.find((word) => word === text)
  if (found === undefined) throw usage(`${flag} must be ${words.join(' or ')}.`)
  return found
}
