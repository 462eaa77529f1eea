// Guards of units between cells and of orders that meet, each taken away in a world of many cells.
import { edit, type Mutant } from './mutant.ts'

const transfers = 'src/modules/stock/decide-transfers.ts'
const meeting = 'src/modules/orders/meeting.ts'
const transferred = 'src/modules/stock/transferred.ts'

const inCells: Omit<Mutant, 'world'>[] = [
  {
    name: 'a total is credited whenever it comes',
    guard: 'units are credited once',
    edits: [edit(transfers, 'newInTotal(total.units, transfer.receivedUnits)', 'total.units')],
  },
  {
    name: 'an older total takes units back',
    guard: 'totals only grow',
    edits: [edit(transfers, 'newInTotal(total.units, transfer.receivedUnits)', 'total.units - transfer.receivedUnits')],
  },
  {
    name: 'an allowance is credited whenever it comes',
    guard: 'units are credited once',
    edits: [edit(transfers, 'newInTotal(total.allowance, transfer.receivedAllowance)', 'total.allowance')],
  },
  {
    name: 'units are sent and kept',
    guard: 'the row goes down with the total',
    edits: [
      edit(transfers, '    row.onHand -= units\n    row.allowance -= allowance', '    row.allowance -= allowance'),
    ],
  },
  {
    name: 'units leave without being sent',
    guard: 'the total goes up with the row',
    edits: [edit(transfers, 'transfer.sentUnits += units', 'transfer.sentUnits += 0')],
  },
  {
    name: 'what is reserved is given away',
    guard: 'only free goods are sent',
    edits: [
      edit(
        transfers,
        'const goods = row.onHand - row.reserved - row.committed - row.missing',
        'const goods = row.onHand - row.committed - row.missing',
      ),
      edit(transfers, 'return Math.max(0, Math.min(goods, availableInRow(row)))', 'return Math.max(0, goods)'),
    ],
  },
  {
    name: 'what another cell’s log says is not credited',
    guard: 'the way of the log',
    edits: [edit(transferred, 'if (!mine) continue', 'continue')],
  },
  {
    name: 'of two orders of one key the elder gives way',
    guard: 'the elder survives',
    edits: [
      edit(
        meeting,
        '  a.id > b.id || (a.id === b.id && a.cell > b.cell)',
        '  a.id < b.id || (a.id === b.id && a.cell < b.cell)',
      ),
    ],
  },
  {
    name: 'of two orders of one key both give way',
    guard: 'only the younger gives way',
    edits: [edit(meeting, '  a.id > b.id || (a.id === b.id && a.cell > b.cell)', '  a.id !== b.id')],
  },
  {
    name: 'only who hears of an elder order gives way',
    guard: 'the elder’s home tells the younger’s',
    edits: [edit(meeting, 'await options.tellElder(from, { shopId, id, elder: own.resultId })', 'continue')],
  },
  {
    name: 'of two orders of one key none gives way',
    guard: 'orders of one key meet',
    edits: [
      edit(meeting, 'if (!standing.has(id)) continue', 'continue'),
      edit(meeting, 'await options.tellElder(from, { shopId, id, elder: own.resultId })', 'continue'),
    ],
  },
  {
    name: 'an order gives way to one that does not stand',
    guard: 'the elder stands',
    edits: [edit(meeting, 'if (!standing.has(id)) continue', '')],
  },
  {
    name: 'units that a count did not find are sold on',
    guard: 'what is missing is not for sale',
    edits: [
      edit('src/modules/stock/sourcing.ts', ' - row.missing', ''),
      edit(transfers, ' - row.committed - row.missing', ' - row.committed'),
    ],
  },
  {
    name: 'units that came back are not written off',
    guard: 'what is missing is written off',
    edits: [edit(transfers, '  writeOffMissing(state, row)\n', '')],
  },
]

export const mutantsOfCells: Mutant[] = inCells.map((mutant) => ({ ...mutant, world: 'cells' }))
