// Drives a consumer: reads the log from its stored position as far as it is settled, hands events over singly and sometimes
// twice or long after, and forgets whatever was not stored when it crashes. A gap makes it read again from the beginning.
import type { Prng } from '../../src/base/prng.ts'
import type { LoggedEvent, MemoryDatabase } from '../../src/modules/orders/memory-database.ts'
import type { ProcessWorld } from './process.ts'
import type { System } from './system.ts'

export type ConsumerWorld = ProcessWorld & { database: MemoryDatabase; consumer: ReturnType<System['createConsumer']> }

const pollMs = 100

export async function runConsumer(world: ConsumerWorld, random: Prng): Promise<void> {
  const { system, scheduler, plan, database, consumer } = world
  const pause = () => scheduler.sleep(0.1 + random.next())
  const old: LoggedEvent[] = []

  /** False when the rest is to be read again. */
  async function handOver(event: LoggedEvent): Promise<boolean> {
    await pause()
    if (random.chance(plan.consumerCrash)) return false
    if (consumer.receive(event) === 'gap') {
      consumer.stored.position = 0
      return false
    }
    old.push(event)
    if (random.chance(plan.eventDoubled)) consumer.receive(random.chance(0.5) ? event : random.pick(old))
    return true
  }

  for (;;) {
    await scheduler.sleep(pollMs * random.next())
    const last = await system.settledUpTo(database, pause)
    const from = consumer.stored.position
    for (const event of database.tables.events.filter((one) => one.seq > from && one.seq <= last)) {
      if (!(await handOver(event))) break
    }
  }
}
