// holdfast cells stop | start: tells the `holdfast start` of a data folder to stop or start one cell, while the others go on.

import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { isCellName } from '../base/ids.ts'
import { readConfig } from '../runtime/config.ts'
import { askControl, type ControlledCell } from './control.ts'
import { usage } from './failure.ts'
import { formatTable } from './table.ts'

export const cellsHelp = `Usage: holdfast cells list [options]
       holdfast cells stop NAME [options]
       holdfast cells start NAME [options]

stop lets the cell answer what it has taken, and then stops its processes, PostgreSQL included; the other cells go on. start
answers when it is ready again.

  --data DIR          of the holdfast start that runs them [.holdfast]
  --json              the last line of standard output is one JSON object`

const options = { data: { type: 'string' }, json: { type: 'boolean', default: false } } as const

export async function cells(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const { pid, cells: found } = await askControl(dataFolder(values.data), requestOf(positionals))
  console.log(tableOf(found))
  if (values.json) console.log(JSON.stringify({ pid, cells: found }))
  return 0
}

function requestOf([action, name, ...rest]: string[]) {
  if (rest.length > 0) throw usage(`${rest[0]} is one word too many.`)
  if (action === 'list') {
    if (name !== undefined) throw usage(`${name} is one word too many.`)
    return { do: action } as const
  }
  if (action !== 'stop' && action !== 'start') throw usage('Say list, stop or start. See holdfast cells --help.')
  if (name === undefined || !isCellName(name)) throw usage(`Name a cell to ${action}, such as eu1.`)
  return { do: action, cell: name } as const
}

const dataFolder = (data: string | undefined): string =>
  resolve(readConfig(data === undefined ? [] : [`--data=${data}`], process.env).data)

const tableOf = (found: readonly ControlledCell[]): string =>
  formatTable(
    [{ head: 'Cell' }, { head: 'State' }, { head: 'URL' }],
    found.map(({ cell, state, url }) => [cell, state, url]),
  )
