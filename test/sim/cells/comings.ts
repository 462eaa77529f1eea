// Cells join while clients buy, and others drain and leave: an operator sees to it that their orders come to an end, and they are
// removed when the product says that nothing of them is here or under way.
import type { Prng } from '../../../src/base/prng.ts'
import { type CellNode, shopId } from './node.ts'
import type { Run } from './world.ts'

export const liveIn = ({ nodes, members }: Run): CellNode[] => nodes.filter(({ name }) => !members.isRemoved(name))

/** `begin`: clients buy there too. */
type Doings = { begin(cell: CellNode): void; isHealed(): boolean }

export function changeMembers(run: Run, random: Prng, { begin, isHealed }: Doings): { areUnderWay(): boolean } {
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
  if (plan.leaves > 0) void counted(() => leave(run, random.pick(leaving), { random, isHealed }))
  return { areUnderWay: () => underWay > 0 }
}

async function leave(
  run: Run,
  cell: CellNode,
  { random, isHealed }: { random: Prng; isHealed(): boolean },
): Promise<void> {
  const { scheduler, members, auditor, say } = run
  await scheduler.sleep(3_000 * random.next())
  say(() => `${cell.name} drains`)
  members.drain(cell.name)
  cell.close(true)
  for (;;) {
    await scheduler.sleep(300)
    endOrders(cell)
    if (isHealed() && isMissingForGood(run, cell)) return stay(run, cell)
    if (!isEmpty(cell)) continue
    const whatIsLeft = async () => (isEmpty(cell) ? null : 'units or orders')
    const unsettled = cell.process().unsettled(whatIsLeft)
    members.asks(cell.name, true)
    const isSettled = (await Promise.race([unsettled, scheduler.sleep(10_000).then(() => 'no answer')])) === null
    members.asks(cell.name, isSettled)
    if (!isSettled) continue
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

/** As its own look finds it: no units here, missing, held or sold, and no order open; of one that is frozen nobody knows. */
const isEmpty = ({ process, durable: { frozen }, database: { tables } }: CellNode): boolean =>
  process().isUp &&
  frozen === undefined &&
  [...tables.rows.values()].every(
    (row) => !(row.onHand || row.allowance || row.reserved || row.committed || row.missing),
  ) &&
  [...tables.orders.values()].every(({ status }) => status === 'cancelled')

/** Nobody has any of what it has sent and forgotten, since others were lost too: it may wait for it for ever. */
const isMissingForGood = (run: Run, { database: { tables } }: CellNode): boolean =>
  liveIn(run).every(({ process, durable }) => process().isUp && durable.frozen === undefined) &&
  [...tables.rows.values()].some(
    ({ sku, missing }) => missing > 0 && run.auditor.isShort(sku) && !run.auditor.isKept(sku),
  )

/** An operator makes it active again. */
function stay(run: Run, cell: CellNode): void {
  run.say(() => `${cell.name} stays`)
  run.members.activate(cell.name)
  for (const { database } of run.nodes) database.tables.leaving.delete(cell.name)
  cell.close(false)
}
