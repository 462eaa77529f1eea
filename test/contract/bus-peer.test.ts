// The bus on a peer's log keeps the promises of every bus, over a connection that breaks again and again: events in one
// database, consumers with inbox and position in another, HTTP between them.
import type { CellName } from '../../src/base/ids.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { createLogHandler, peerLogReader } from '../../src/runtime/peer-log.ts'
import { append, createEventLog, readerOf } from '../support/event-log.ts'
import { openPeerCells, type PeerCell } from '../support/peer-cells.ts'
import { type BusHarness, busContract } from './bus.contract.ts'
import { startBusProcess } from './bus-process.ts'
import { byHand } from './by-hand.ts'

const us1 = 'us1' as CellName
const breakEveryMs = 300

async function openHarness(): Promise<BusHarness> {
  const [own, peer] = await Promise.all([createEventLog(), createEventLog()])
  const reader = await readerOf(peer)
  const log = createLogHandler(reader)
  const cells = await openPeerCells({ names: ['eu1', us1], handlers: () => ({ log }) })
  const [eu, us] = cells as [PeerCell, PeerCell]
  const openReader = async (_: unknown, errors: unknown[]) => {
    const onExpired = () => void errors.push('expired')
    return peerLogReader({ peer: us1, peers: eu.peers, clock: systemClock, onError: () => {}, onExpired })
  }
  const breaking = setInterval(() => us.gap.cut(), breakEveryMs)
  return {
    database: own.database,
    publish: async (events) => void (await peer.database.transaction((session) => append(session, events))),
    start: () => startBusProcess(own, openReader),
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
