// The bus on a peer's log keeps the promises of every bus, over a connection that breaks again and again: events in one
// database, consumers with inbox and position in another, HTTP between them.
import type { CellName } from '../../src/base/ids.ts'
import { postgresBus } from '../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { createLogHandler, peerLogReader } from '../../src/runtime/peer-log.ts'
import { openDatabase } from '../../src/runtime/pg.ts'
import { append, createEventLog, type EventLog, readerOf } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'
import { openPeerCells, type PeerCell } from '../support/peer-cells.ts'
import { type BusHarness, type BusProcess, busContract, triesMax } from './bus.contract.ts'
import { byHand } from './by-hand.ts'

const us1 = 'us1' as CellName
const breakEveryMs = 300
let processes = 0

async function startProcess(own: EventLog, { peers }: PeerCell): Promise<BusProcess> {
  const applicationName = `process ${++processes}`
  const database = openDatabase({ url: own.url, applicationName })
  const errors: unknown[] = []
  const onError = (_: string, error: unknown) => void errors.push(error)
  const onExpired = () => void errors.push('expired')
  const reader = peerLogReader({ peer: us1, peers, clock: systemClock, onError: () => {}, onExpired })
  const bus = postgresBus({ database, reader, clock: systemClock, onError, triesMax })
  const close = async (): Promise<void> => {
    await bus.close()
    await database.close()
  }
  const cut = `select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1`
  return {
    bus,
    errors,
    close,
    async crash() {
      let closed = false
      const closing = close().finally(() => {
        closed = true
      })
      await eventually(async () => {
        await own.database.query(cut, [`${applicationName} %`])
        return closed
      })
      await closing
    },
  }
}

async function openHarness(): Promise<BusHarness> {
  const [own, peer] = await Promise.all([createEventLog(), createEventLog()])
  const reader = await readerOf(peer)
  const log = createLogHandler(reader)
  const cells = await openPeerCells({ names: ['eu1', us1], handlers: () => ({ log }) })
  const [eu, us] = cells as [PeerCell, PeerCell]
  const breaking = setInterval(() => us.gap.cut(), breakEveryMs)
  return {
    database: own.database,
    publish: async (events) => void (await peer.database.transaction((session) => append(session, events))),
    start: () => startProcess(own, eu),
    byHand: byHand(own),
    async close() {
      clearInterval(breaking)
      await Promise.all(cells.map((cell) => cell.stop()))
      await reader.stop()
      await Promise.all([own.database.close(), peer.database.close()])
    },
  }
}

busContract('the bus on a peer’s log', openHarness)
