// Drives a consumer: reads the log from its stored position as far as it is settled, hands over pages in which events stand
// twice, late or early, and forgets whatever was not stored when the consumer crashes.
import type { Prng } from '../../src/base/prng.ts'
import type { LoggedEvent, MemoryDatabase } from '../../src/modules/orders/memory-database.ts'
import type { SubjectGap } from '../../src/runtime/event-log.ts'
import type { ProcessWorld } from './process.ts'
import type { System } from './system.ts'

export type ConsumerWorld = ProcessWorld & { database: MemoryDatabase; consumer: ReturnType<System['createConsumer']> }

const pollMs = 100
const pageMax = 5

export async function runConsumer(world: ConsumerWorld, random: Prng): Promise<void> {
  const { system, scheduler, plan, database, consumer } = world
  const pause = () => scheduler.sleep(0.1 + random.next())
  const { events } = database.tables

  /** A page as a careless bus would deliver it. */
  function delivery(page: LoggedEvent[]): LoggedEvent[] {
    const delivered = [...page]
    for (const event of page) {
      if (!random.chance(plan.eventDoubled)) continue
      const again = random.chance(0.5) ? event : random.pick(events.slice(0, events.indexOf(event) + 1))
      delivered.splice(random.between(0, delivered.length), 0, again)
    }
    return delivered
  }

  for (;;) {
    await scheduler.sleep(pollMs * random.next())
    if (consumer.stored.position === database.lastSeq) continue
    const last = await system.settledUpTo(database, pause)
    for (let more = true; more; ) {
      await pause()
      const from = consumer.stored.position
      const settled = events.filter((event) => event.seq <= last)
      const page = settled.filter((event) => event.seq > from).slice(0, random.between(1, pageMax))
      more = page.length > 0
      if (!more || random.chance(plan.consumerCrash)) continue
      const reread = (gaps: readonly SubjectGap[]) => settled.filter((event) => gaps.some((gap) => isIn(gap, event)))
      await consumer.receive(delivery(page), { position: page.at(-1)!.seq, reread })
    }
  }
}

const isIn = (gap: SubjectGap, event: LoggedEvent): boolean =>
  gap.shopId === event.shopId &&
  gap.subject === event.subject &&
  event.subjectVersion > gap.afterVersion &&
  event.subjectVersion < gap.beforeVersion
