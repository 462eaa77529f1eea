// The standby of a geo cell stands still under load: what comes is refused within two seconds, nothing is acknowledged that it has
// not got, and the cell sells again when it goes on.
import { join } from 'node:path'
import { processesIn } from '../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../support/eventually.ts'
import { signalAll } from '../support/signal-all.ts'
import { type DrillCell, isReady, prepareCells, receiveStock } from './cells.ts'
import { secondsSince, startLoad } from './load.ts'

export type StandbyReport = {
  refused_seconds: number
  acknowledged_while_dead: number
  opened_seconds: number
}

export async function standbyDrill(): Promise<StandbyReport> {
  const drill = await prepareCells({ eu1: { durability: 'geo', standby: 'us' } })
  const [eu1] = drill.cells as [DrillCell]
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    signalAll(processesIn(join(eu1.data, 'eu1', 'standby-us', 'pg')), name)
  }
  try {
    await eu1.start()
    await isReady(eu1)
    await receiveStock(eu1, 'A', 100_000)
    let refusedAt: number | undefined
    let sold = 0
    let refused = 0
    const load = startLoad(eu1, {
      ...{ sku: 'A', clients: 8 },
      onAnswer(status, code) {
        if (status === 201) sold++
        if (code !== 'standby_unreachable') return
        refusedAt ??= performance.now()
        refused++
      },
    })
    await eventually(() => sold > 100, 30_000)
    refusedAt = undefined
    const deadAt = performance.now()
    signal('SIGSTOP')
    await eventually(() => refusedAt !== undefined, 10_000)
    const soldThen = sold
    refused = 0
    await eventually(() => refused > 1_000, 30_000)
    const soldWhileDead = sold - soldThen
    const backAt = performance.now()
    signal('SIGCONT')
    await eventually(() => sold > soldThen + soldWhileDead, 20_000)
    const opened = secondsSince(backAt)
    await load.stop()
    return {
      refused_seconds: Math.round((refusedAt! - deadAt) / 10) / 100,
      acknowledged_while_dead: soldWhileDead,
      opened_seconds: opened,
    }
  } finally {
    signal('SIGCONT')
    await drill.close()
  }
}
