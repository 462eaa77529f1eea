// A geo cell loses its machine or its whole region under load: no process of it is left but its standby's. Another cell takes new
// orders at once; the standby is promoted by hand and the cell started on it. No order that was acknowledged may be missing.
import { join } from 'node:path'
import { openSql } from '../../src/runtime/database-url.ts'
import { processesIn } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import { embeddedUrl } from '../support/holdfast.ts'
import { type DrillCell, isReady, orderOf, prepareCells, receiveStock } from './cells.ts'
import { secondsSince, startLoad } from './load.ts'

export type LossReport = {
  acknowledged: number
  acknowledged_lost: number
  /** Until another cell has taken an order. */
  others_seconds: number
  promotion_seconds: number
  own_seconds_after_promotion: number
  is_frozen: boolean
}

const sku = 'A'
const clients = 8
const ordersBefore = 500

/** `standby`: the region that it is in; the cell's own when only a machine is lost. */
export async function lossDrill(standby: string): Promise<LossReport> {
  const drill = await prepareCells({ eu1: { durability: 'geo', standby }, us1: {} })
  const [eu1, us1] = drill.cells as [DrillCell, DrillCell]
  try {
    await Promise.all([eu1.start(), us1.start()])
    await Promise.all([isReady(eu1), isReady(us1)])
    await receiveStock(eu1, sku, 100_000)
    await eventually(async () => (await us1.call('POST', '/v1/orders', { body: orderOf(sku) })).status === 201, 20_000)

    let sold = 0
    const load = startLoad(eu1, { sku, clients, onAnswer: (status) => void (status === 201 && sold++) })
    await eventually(() => sold >= ordersBefore, 60_000)
    const lostAt = performance.now()
    await eu1.kill(processesIn(join(eu1.data, 'eu1', `standby-${standby}`, 'pg')))
    const acknowledged = await load.stop()
    await eventually(async () => (await us1.call('POST', '/v1/orders', { body: orderOf(sku) })).status === 201, 20_000)
    const others = secondsSince(lostAt)

    const url = await embeddedUrl(join(eu1.data, 'eu1'), `standby-${standby}`)
    const promotingAt = performance.now()
    await promote(url)
    const promotion = secondsSince(promotingAt)
    const promotedAt = performance.now()
    await eu1.start([`--database-url=${url}`, `--cell-key=${join(eu1.data, 'eu1', 'cell.key')}`])
    await makeLocal(eu1)
    await eventually(async () => (await eu1.call('POST', '/v1/orders', own())).status === 201, 30_000)
    const afterPromotion = secondsSince(promotedAt)
    const { json: readiness } = await eu1.call('GET', '/readyz')
    let lost = 0
    for (const id of acknowledged) if ((await eu1.call('GET', `/v1/orders/${id}`)).status !== 200) lost++
    return {
      acknowledged: acknowledged.length,
      acknowledged_lost: lost,
      others_seconds: others,
      promotion_seconds: promotion,
      own_seconds_after_promotion: afterPromotion,
      is_frozen: readiness?.reasons?.includes('frozen') ?? false,
    }
  } finally {
    await drill.close()
  }
}

const own = () => ({ body: orderOf(sku), key: `eu1.${crypto.randomUUID()}` })

/** It has no standby of its own yet, so it is local until it is given one: the gate would stay shut. */
export async function makeLocal(cell: DrillCell): Promise<void> {
  const set = await cell.command(['cells', 'set', cell.name, '--durability', 'local', '--url', cell.url])
  if (set.code !== 0) throw new Error(`it was not made local: ${set.stdout}${set.stderr}`)
}

/** As docs/OPERATIONS.md tells an operator. */
export async function promote(url: string): Promise<void> {
  const sql = openSql(url as Parameters<typeof openSql>[0], { max: 1 })
  try {
    await sql`select pg_promote(true, 60)`
    await sql.unsafe('alter system reset synchronous_standby_names')
    await sql`select pg_reload_conf()`
  } finally {
    await sql.end()
  }
}
