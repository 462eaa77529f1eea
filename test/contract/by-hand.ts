// What an operator does with consumers, through the database that has their positions.
import type { Uuid } from '../../src/base/ids.ts'
import { rewindConsumer, setPaused } from '../../src/runtime/consumers-admin.ts'
import { askForRetry, dropDeadEvent, listDeadEvents } from '../../src/runtime/dead-events.ts'
import type { EventLog } from '../support/event-log.ts'
import type { ByHand } from './bus.contract.ts'

export function byHand({ database, lives }: EventLog): ByHand {
  return {
    async dead(consumer) {
      const found = await listDeadEvents(database, { shopId: null, before: null, limit: 1_000 })
      return found
        .filter((event) => event.consumer === consumer)
        .sort((a, b) => a.seq - b.seq)
        .map(({ id, subject, subjectVersion, tries, reason }) => ({
          id,
          what: `${subject}:${subjectVersion}`,
          tries,
          reason,
        }))
    },
    retry: async (id) => void (await askForRetry(database, id as Uuid, null)),
    async drop(id) {
      const outcome = await dropDeadEvent(database, { id: id as Uuid, shopId: null })
      return outcome.ok ? undefined : outcome.code
    },
    pause: async (consumer) => void (await setPaused(database, consumer, true)),
    resume: async (consumer) => void (await setPaused(database, consumer, false)),
    async rewindToStart(name) {
      const outcome = await rewindConsumer(database, lives, { name, to: 'start', force: false })
      if (!outcome.ok) throw new Error(outcome.code)
    },
  }
}
