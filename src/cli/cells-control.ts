// holdfast cells list | stop | start: tells the `holdfast start` of a data folder to stop or start one cell, while the others go on.

import { resolve } from 'node:path'
import { readConfig } from '../runtime/config.ts'
import type { Told } from './cells.ts'
import { askControl, type ControlledCell, type ControlRequest } from './control.ts'
import { formatTable } from './table.ts'

/** `data`: its folder; undefined is where holdfast start keeps it unless told. */
export async function controlCells(data: string | undefined, request: ControlRequest): Promise<Told> {
  const { pid, cells } = await askControl(dataFolder(data), request)
  return { text: tableOf(cells), json: { pid, cells } }
}

const dataFolder = (data: string | undefined): string =>
  resolve(readConfig(data === undefined ? [] : [`--data=${data}`], process.env).data)

const tableOf = (found: readonly ControlledCell[]): string =>
  formatTable(
    [{ head: 'Cell' }, { head: 'State' }, { head: 'URL' }],
    found.map(({ cell, state, url }) => [cell, state, url]),
  )
