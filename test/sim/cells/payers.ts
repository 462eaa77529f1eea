// Buyers of many cells pay for what they have placed, by and by: some at once, some in two steps; some are declined, and some
// authorizations come to nothing. What a provider says reaches its order in the end, whatever has become of that.
import { type CellName, parseWireId, type Uuid, uuidV7 } from '../../../src/base/ids.ts'
import type { MinorUnits } from '../../../src/base/money.ts'
import type { Prng } from '../../../src/base/prng.ts'
import { instant } from '../../../src/base/time.ts'
import type { MemoryCommit } from '../../../src/modules/orders/memory-database.ts'
import type { Command, Settlement } from '../../../src/modules/orders/types.ts'
import type { Scheduler } from '../scheduler.ts'
import { type CellNode, shopId } from './node.ts'
import type { CellsPlan } from './plan.ts'

const fates = [['captured'], ['captured'], ['authorized', 'captured'], ['failed'], ['authorized', 'failed']] as const
type Says = (typeof fates)[number][number]

export function createPayers(
  { payers }: CellsPlan,
  random: Prng,
  { scheduler, cellAt }: { scheduler: Scheduler; cellAt(name: CellName): CellNode },
) {
  /** Until a process of the cell has decided it; a refusal is as good as any other answer. */
  async function carryOut(cell: CellNode, command: Command, own: Prng): Promise<void> {
    for (;;) {
      const isDone = await Promise.race([cell.process().carryOut(command), scheduler.sleep(3_000).then(() => false)])
      if (isDone) return
      await scheduler.sleep(200 * own.next())
    }
  }

  async function pay(cell: CellNode, orderId: Uuid, own: Prng): Promise<void> {
    const hesitates = () => scheduler.sleep(own.next() * own.pick([20, 500, 10_000]))
    for (let attempt = 0; attempt < 2; attempt++) {
      await hesitates()
      const id = uuidV7(instant(scheduler.now()), own.bytes(10))
      const payment = { id, provider: 'test', method: '' }
      await carryOut(cell, { kind: 'start_payment', shopId, orderId, ifVersion: null, payment }, own)
      const order = cell.database.tables.orders.get(orderId)
      if (!order) return // lost with its region
      const { total } = order
      const fate = own.pick<readonly Says[]>(fates)
      for (const says of fate) {
        await hesitates()
        await carryOut(cell, { kind: 'settle', shopId, orderId, settlement: saying(says, id, total) }, own)
      }
      if (fate.at(-1) === 'captured') return
    }
  }

  return {
    heard(cell: CellName, { events }: MemoryCommit): void {
      for (const { type, subject } of events) {
        if (type !== 'order.placed' || !random.chance(payers)) continue
        void pay(cellAt(cell), parseWireId(subject)!.uuid, random.fork())
      }
    },
  }
}

function saying(says: Says, id: Uuid, amount: MinorUnits): Settlement {
  switch (says) {
    case 'captured':
      return { of: 'payment', id, says, reference: null, amount }
    case 'authorized':
      return { of: 'payment', id, says, reference: null }
    default:
      return { of: 'payment', id, says, error: 'declined' }
  }
}
