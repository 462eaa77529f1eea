// A geo cell whose PostgreSQL fails over by itself loses a region under load: its primary with Patroni and etcd, and its own process
// there. Nobody does anything. Measured is how long its own orders wait, from the kill to the first that is acknowledged by the
// process in another region, in strict synchronous mode; none that was acknowledged may be missing.
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { type Running, startHoldfast } from '../support/holdfast.ts'
import { besides, type DrillCell, isReady, orderOf, prepareCells, receiveStock } from './cells.ts'
import { secondsSince, startLoad } from './load.ts'
import { type Member, startPatroniCluster } from './patroni-cluster.ts'
import { findPatroniTools } from './patroni-tools.ts'

export type PatroniReport = {
  own_seconds_with_patroni: number
  acknowledged: number
  acknowledged_lost: number
  /** By the process whose primary is gone, from the kill on. */
  refused_meanwhile: number
  is_frozen: boolean
  postgres_major: number
}

const sku = 'A'
const clients = 8
const ordersBefore = 500

export async function patroniDrill(): Promise<PatroniReport> {
  const tools = findPatroniTools()
  const cluster = await startPatroniCluster(tools)
  const drill = await prepareCells({ eu1: { durability: 'geo', standby: 'ie', onIsolation: 'stop' }, ap1: {} })
  const [eu1, ap1] = drill.cells as [DrillCell, DrillCell]
  let elsewhere: Running | undefined
  try {
    const database = `--database-url=${cluster.url}`
    const key = join(eu1.data, 'eu1', 'cell.key')
    await Promise.all([eu1.start([database, `--cell-key=${key}`]), ap1.start()])
    // The cell's process in another region; clients and load balancers know both.
    const lost = await lead(cluster.members)
    const survivor = cluster.members.find((member) => member !== lost)!
    const ownKeyFile = join(survivor.folder, 'cell.key') // who names the lost process's folder is lost with it
    await copyFile(key, ownKeyFile)
    const data = `--data=${join(survivor.folder, 'holdfast')}`
    elsewhere = await startHoldfast([data, database, `--cell-key=${ownKeyFile}`, `--topology=${drill.topology}`])
    const other = besides(eu1, elsewhere.url)
    await Promise.all([isReady(eu1, 60_000), isReady(ap1), isReady(other, 60_000)])
    await receiveStock(eu1, sku, 100_000)

    let sold = 0
    const load = startLoad(eu1, { sku, clients, onAnswer: (status) => void (status === 201 && sold++) })
    await eventually(() => sold >= ordersBefore, 60_000)
    const lostAt = performance.now()
    await Promise.all([lost.kill(), eu1.kill()])
    const acknowledged = await load.stop()
    let refused = 0
    await eventually(async () => {
      const { status } = await other.call('POST', '/v1/orders', {
        body: orderOf(sku),
        key: ownKey(),
        deadlineMs: 5_000,
      })
      if (status !== 201) refused++
      return status === 201
    }, 120_000)
    const own = secondsSince(lostAt)
    let missing = 0
    for (const id of acknowledged) if ((await other.call('GET', `/v1/orders/${id}`)).status !== 200) missing++
    const { json: readiness } = await other.call('GET', '/readyz')
    return {
      own_seconds_with_patroni: own,
      acknowledged: acknowledged.length,
      acknowledged_lost: missing,
      refused_meanwhile: refused,
      is_frozen: readiness?.reasons?.includes('frozen') ?? false,
      postgres_major: tools.postgresMajor,
    }
  } finally {
    elsewhere?.child.kill('SIGKILL')
    await drill.close()
    await cluster.close()
  }
}

const ownKey = (): string => `eu1.${crypto.randomUUID()}`

async function lead(members: readonly Member[]): Promise<Member> {
  for (const member of members) if ((await member.role()) === 'leader') return member
  throw new Error('no member of Patroni leads')
}
