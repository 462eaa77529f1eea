// Guards of units between cells and of orders that meet, each taken away in a world of many cells.
import { edit, type Mutant } from './mutant.ts'

const transfers = 'src/modules/stock/decide-transfers.ts'
const meeting = 'src/modules/orders/meeting.ts'
const leftKeys = 'src/modules/orders/left-keys.ts'
const transferred = 'src/modules/stock/transferred.ts'
const comparing = 'src/modules/stock/comparing.ts'
const batches = 'src/cell-batches.ts'
const gateState = 'src/runtime/gate-state.ts'

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
    edits: [
      edit(
        meeting,
        'const isElder = isYounger({ id, cell: from }, { id: own, cell: home.cell })',
        'const isElder = false',
      ),
    ],
  },
  {
    name: 'only who hears of the other order gives way',
    guard: 'the other’s home is told',
    edits: [edit(meeting, 'if (!(await options.tellOther(from, { shopId, id, other: own }))) return', 'return')],
  },
  {
    name: 'of two orders of one key none gives way',
    guard: 'orders of one key meet',
    edits: [edit(meeting, 'if (isElder && !other.isPaid) return true', 'return false')],
  },
  {
    name: 'an order gives way to one that does not stand',
    guard: 'the other stands',
    edits: [edit(meeting, 'if (!other.stands) return false', '')],
  },
  {
    name: 'an elder order gives way to an unpaid one',
    guard: 'the elder gives way to a paid one only',
    edits: [edit(meeting, 'if (isElder && !other.isPaid) return true', '')],
  },
  {
    name: 'an elder order gives way though it is paid',
    guard: 'the elder gives way while it is unpaid',
    edits: [edit(meeting, 'const unlessPaid = isElder || !other.isPaid', 'const unlessPaid = !other.isPaid')],
  },
  {
    name: 'a paid order gives way to an elder that is not',
    guard: 'the younger gives way to an unpaid elder while it is unpaid itself',
    edits: [edit(meeting, 'const unlessPaid = isElder || !other.isPaid', 'const unlessPaid = isElder')],
  },
  {
    name: 'what was heard of an order’s payment is believed though it has been paid since',
    guard: 'whether it is paid is looked at when it gives way',
    edits: [edit('src/modules/orders/decide.ts', ' || (command.unlessPaid && wasPaid(order))) return', ') return')],
  },
  {
    name: 'an order whose authorization is gone counts as never paid',
    guard: 'paid is said for good',
    edits: [edit('src/modules/orders/money.ts', ' || authorizedUntil !== undefined)', " || status === 'authorized')")],
  },
  {
    name: 'a key that another cell has taken is not remembered where it names',
    guard: 'a key is taken once, also by another cell than it names',
    edits: [edit(meeting, 'keyed.filter(({ names }) => names === options.cell)', 'keyed.filter(() => false)')],
  },
  {
    name: 'what another cell has made is looked for in this one',
    guard: 'a retry is answered by the cell that took its key',
    edits: [edit('src/modules/orders/decide.ts', 'takenBy: earlier.takenBy }', 'takenBy: null }')],
  },
  {
    name: 'orders of a key that names a cell do not meet',
    guard: 'what was taken before it was heard of meets too',
    edits: [
      edit(
        meeting,
        'for (const { shopId, hash, request, id } of theirs) {',
        'for (const { shopId, hash, request, id, names: named } of theirs) {',
      ),
      edit(meeting, 'own.takenBy !== null) continue', 'own.takenBy !== null || named !== null) continue'),
    ],
  },
  {
    name: 'a key that was taken elsewhere is met with as if it were taken here',
    guard: 'only own orders are met with',
    edits: [edit(meeting, ' || own.takenBy !== null) continue', ') continue')],
  },
  {
    name: 'a new home decides keys that the earlier home has decided',
    guard: 'an earlier home is asked whether it knows the key',
    edits: [edit(leftKeys, 'taker !== null && !left.has(taker)', 'false')],
  },
  {
    name: 'an earlier home decides keys that it has left',
    guard: 'what is left is written down',
    edits: [
      edit(
        leftKeys,
        "await rememberKey({ kind: 'remember_key', shopId, resultId: null, takenBy: from }, { hash, request })",
        '',
      ),
      edit(
        leftKeys,
        "const { takenBy } = present(await findKey(shopId, hash), 'a key that was remembered')",
        'const { takenBy } = (await findKey(shopId, hash)) ?? { takenBy: from }',
      ),
    ],
  },
  {
    name: 'a new home decides while an earlier one does not say',
    guard: 'every earlier home has said so',
    edits: [
      edit(leftKeys, "return { ...refused('cell_unreachable', detail), mayHaveHappened: true }", 'return undefined'),
    ],
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
  {
    name: 'a frozen cell sells before it was compared',
    guard: 'a cell that was set back is frozen',
    edits: [
      edit(batches, 'if (standing.frozen && !isForFrozen(submission)) throw new CellFrozen(false)\n', '\n'),
      edit(
        batches,
        '      if (standing.frozen && !mending.get(lane)) throw new CellFrozen(false)\n    } catch',
        '    } catch',
      ),
      edit(
        batches,
        '    if (standing.frozen && !mending.get(lane)) throw new CellFrozen(false)\n    const',
        '    const',
      ),
    ],
  },
  {
    name: 'a cell that was set back does not take over what the others have received',
    guard: 'totals are taken over',
    edits: [edit(comparing, 'await rememberAll(peer, receivedThere)', '{ units: 0, missing: 0 }')],
  },
  {
    name: 'what a cell has sent and forgotten stays in its row',
    guard: 'what the other has, this cell cannot have',
    edits: [edit(transfers, '    sendFromRow(state, row, [{ to, units, allowance }])\n', '')],
  },
  {
    name: 'a cell that drains keeps what it has',
    guard: 'who leaves hands over',
    edits: [
      edit(
        'src/modules/stock/handing-over.ts',
        'const sent = await Promise.all(commands.map(handOver))',
        'return true',
      ),
    ],
  },
  {
    name: 'a cell that has told that nothing is left is sent what it asked for before',
    guard: 'who leaves is sent nothing more',
    edits: [edit(transfers, ' || state.leaving.has(to)', '')],
  },
  {
    name: 'a cell leaves while units are under way',
    guard: 'both sides of every pair have the same sums',
    edits: [
      edit('src/modules/stock/transfer-sums.ts', '!isSettled(ours.get(peer)!', 'false && !isSettled(ours.get(peer)!'),
    ],
  },
  {
    name: 'what is sold out lives where it was sold',
    guard: 'no group lives in two cells',
    edits: [edit(transfers, 'availableOf(rows) > 0 || !ask.isKnown', 'true')],
  },
  {
    name: 'answers leave before the standby has what they tell',
    guard: 'the gate',
    edits: [
      edit(batches, 'mayLeave: gate.pass(lives.get(lane)!).then(leave)', 'mayLeave: Promise.resolve().then(leave)'),
    ],
  },
  {
    name: 'the gate takes what is written here for what the standby has',
    guard: 'the gate compares',
    edits: [edit(gateState, 'replicated === null || lsn > replicated', 'lsn > flushed')],
  },
]

export const mutantsOfCells: Mutant[] = inCells.map((mutant) => ({ ...mutant, world: 'cells' }))
