// holdfast cells list | stop | start | add: asks the `holdfast start` of a data folder about one cell, while the others go on. The
// key of a cell is made without one, since a topology that an operator writes needs it first.
import { join, resolve } from 'node:path'
import type { CellName } from '../base/ids.ts'
import { readConfig } from '../runtime/config.ts'
import type { Told } from './cells.ts'
import { askControl, type ControlledCell, type ControlRequest } from './control.ts'
import { ensureCellKey } from './start-topology.ts'
import { formatTable } from './table.ts'

/** `data`: its folder; undefined is where holdfast start keeps it unless told. */
export async function controlCells(data: string | undefined, request: ControlRequest): Promise<Told> {
  const { pid, cells } = await askControl(dataFolder(data), request)
  return { text: tableOf(cells), json: { pid, cells } }
}

/** The public key of a cell in the folder; its private one is made when there is none. */
export async function tellKey(data: string | undefined, cell: CellName): Promise<Told> {
  const publicKey = await ensureCellKey(join(dataFolder(data), cell))
  return { text: publicKey, json: { cell, public_key: publicKey } }
}

const dataFolder = (data: string | undefined): string =>
  resolve(readConfig(data === undefined ? [] : [`--data=${data}`], process.env).data)

const tableOf = (found: readonly ControlledCell[]): string =>
  formatTable(
    [{ head: 'Cell' }, { head: 'State' }, { head: 'URL' }],
    found.map(({ cell, state, url }) => [cell, state, url]),
  )
