// Work for a later time, on pg-boss: put down in the transaction that asks for it, done by one process however many there
// are, and again when that one dies in the middle. It keeps its own schema `jobs` and its own few connections.
import { type JobInsert, PgBoss } from 'pg-boss'
import { limits } from '../base/limits.ts'
import type { Instant } from '../base/time.ts'
import type { Clock } from './clock.ts'
import type { DatabaseUrl } from './database-url.ts'
import { every } from './every.ts'
import type { Database } from './pg.ts'
import { asDatabaseError } from './pg-failure.ts'
import type { Session } from './pg-session.ts'
import type { Param } from './pg-values.ts'

export type NewJob = { at: Instant; data: object }

export type Jobs = {
  /** Resolves when jobs can be put down; rejects when the jobs were stopped before. */
  ready: Promise<void>
  /** In the transaction of the session: a job is there if and only if that commits. To be called once ready. */
  put(session: Session, queue: string, jobs: readonly NewJob[]): Promise<void>
  stop(): Promise<void>
}

export type JobHandlers = Record<string, (data: readonly object[]) => Promise<void>>

export type JobsOptions = {
  database: Pick<Database, 'url'>
  clock: Pick<Clock, 'sleep'>
  onError: (error: unknown) => void
  /** By queue. May be given the same job again after a failure or a crash. */
  handlers: JobHandlers
}

function bossAt(url: DatabaseUrl, onError: JobsOptions['onError']): PgBoss {
  const boss = new PgBoss({
    connectionString: url,
    application_name: 'holdfast jobs',
    schema: 'jobs',
    max: limits.jobsSessionsMax,
    schedule: false,
    superviseIntervalSeconds: limits.jobSecondsMax,
    monitorIntervalSeconds: limits.jobSecondsMax,
  })
  boss.on('error', (error) => onError(asDatabaseError(error)))
  return boss
}

/** Starts in the background, again and again while the database is away. */
export function openJobs({ database, clock, onError, handlers }: JobsOptions): Jobs {
  const stopping = new AbortController()
  let url = database.url
  let boss = bossAt(url, onError)

  async function start(starting: PgBoss): Promise<void> {
    await starting.start()
    for (const [queue, handle] of Object.entries(handlers)) {
      await starting.createQueue(queue, {
        retryLimit: 1_000_000, // a handler fails only while the database is away
        retryDelay: limits.jobsPollSeconds,
        expireInSeconds: limits.jobSecondsMax,
        deleteAfterSeconds: 60 * 60,
      })
      const options = { batchSize: limits.jobsChunkMax, pollingIntervalSeconds: limits.jobsPollSeconds }
      await starting.work<object>(queue, options, (jobs) => handle(jobs.map(({ data }) => data)))
    }
  }

  const ready = (async () => {
    while (!stopping.signal.aborted) {
      try {
        return await start(boss)
      } catch (error) {
        onError(asDatabaseError(error))
        await clock.sleep(limits.consumerBackoffMsMax, stopping.signal)
      }
    }
    throw new Error('the jobs were stopped before they had started')
  })()
  ready.catch(() => {}) // told by whoever awaits it

  /** Its own connections know one server: when another has become the primary, another boss takes its place. */
  async function follow(): Promise<void> {
    const { url: present } = database
    if (present === url) return
    const next = bossAt(present, onError)
    try {
      await start(next)
    } catch (error) {
      await next.stop({ graceful: false }).catch(onError)
      throw error // at the next turn again
    }
    const before = boss
    boss = next
    url = present
    await before.stop({ graceful: false })
  }
  const following = every(
    limits.jobsFollowMs,
    () => ready.then(follow, () => {}),
    (error) => onError(asDatabaseError(error)),
  )

  return {
    ready,
    async put(session, queue, jobs) {
      if (jobs.length === 0) return
      const rows: JobInsert[] = jobs.map(({ at, data }) => ({ data, startAfter: new Date(at) }))
      const db = {
        executeSql: async (text: string, values: unknown[] = []) => ({
          rows: await session.run(text, values as Param[]),
        }),
      }
      await boss.insert(queue, rows, { db })
    },
    async stop() {
      stopping.abort()
      await ready.catch(() => {})
      await following.stop()
      await boss.stop({ graceful: true, timeout: limits.drainMsMax }).catch(onError)
    },
  }
}
