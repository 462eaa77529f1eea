// Cells join while clients buy, and others drain and leave: an operator sees to it that their orders come to an end, and they are
// removed when the product says that nothing of them is here or under way.
import type { Prng } from '../../../src/base/prng.ts'
import { type CellNode, shopId } from './node.ts'
import type { Run } from './world.ts'

export const liveIn = ({ nodes, members }: Run): CellNode[] => nodes.filter(({ name }) => !members.isRemoved(name))

/** `begin`: clients buy there too. */
export function changeMembers(run: Run, random: Prng, begin: (cell: CellNode) => void): { areUnderWay(): boolean } {
  const { scheduler, plan, nodes, joining, join } = run
  let underWay = 0
  async function counted(work: () => Promise<void>): Promise<void> {
    underWay++
    await work()
    underWay--
  }
  for (const name of joining) {
    void counted(async () => {
      await scheduler.sleep(2_000 * random.next())
      begin(join(name))
    })
  }
  // The first two are the homes of the places.
  const leaving = nodes.slice(2)
  if (plan.leaves > 0) void counted(() => leave(run, random.pick(leaving), random))
  return { areUnderWay: () => underWay > 0 }
}

async function leave({ scheduler, members, auditor, say }: Run, cell: CellNode, random: Prng): Promise<void> {
  await scheduler.sleep(3_000 * random.next())
  say(() => `${cell.name} drains`)
  members.drain(cell.name)
  cell.close(true)
  for (;;) {
    await scheduler.sleep(300)
    endOrders(cell)
    if (!isEmpty(cell)) continue
    const whatIsLeft = async () => (isEmpty(cell) ? null : 'units or orders')
    const unsettled = cell.process().unsettled(whatIsLeft)
    if ((await Promise.race([unsettled, scheduler.sleep(10_000).then(() => 'no answer')])) !== null) continue
    say(() => `${cell.name} is removed`)
    members.remove(cell.name)
    cell.kill()
    auditor.left(cell)
    return
  }
}

/** Holds end by themselves too, but a clock that was minutes ahead has made some of them long. */
function endOrders(cell: CellNode): void {
  for (const { id: holdId, status } of cell.database.tables.holds.values())
    if (status === 'active' && cell.process().isUp)
      void cell.process().carryOut({ kind: 'release_hold', shopId, holdId })
  for (const { id, status } of cell.database.tables.orders.values()) {
    if (status === 'cancelled' || !cell.process().isUp) continue
    const of = { shopId, orderId: id, ifVersion: null, lines: null }
    void cell.process().carryOut({ kind: 'cancel_order', reason: 'buyer', ...of })
  }
}

/** As its own look finds it: no units here, held or sold, and no order open. */
const isEmpty = ({ process, database: { tables } }: CellNode): boolean =>
  process().isUp &&
  [...tables.rows.values()].every((row) => row.onHand + row.allowance + row.reserved + row.committed === 0) &&
  [...tables.orders.values()].every(({ status }) => status === 'cancelled')
