// Jobs on pg-boss: put down by our own transactions, done once.
import { describe, expect, it } from 'vitest'
import { addMs } from '../../src/base/time.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { type Jobs, openJobs } from '../../src/runtime/jobs.ts'
import { type Database, openDatabase } from '../../src/runtime/pg.ts'
import { eventually } from '../support/eventually.ts'
import { createDatabase } from '../support/postgres.ts'

async function withJobs(
  work: (parts: { database: Database; done: object[]; open: () => Promise<Jobs> }) => Promise<void>,
): Promise<void> {
  const database = openDatabase({ url: await createDatabase(), applicationName: 'test' })
  const done: object[] = []
  const opened: Jobs[] = []
  const open = async () => {
    const onError = (error: unknown) => {
      throw error
    }
    const handlers = { things: async (data: readonly object[]) => void done.push(...data) }
    const jobs = openJobs({ database, clock: systemClock, onError, handlers })
    opened.push(jobs)
    await jobs.ready
    return jobs
  }
  try {
    await work({ database, done, open })
  } finally {
    await Promise.all(opened.map((jobs) => jobs.stop()))
    await database.close()
  }
}

describe('jobs', () => {
  it('are done when their time has come, once, with two processes at it', { timeout: 30_000 }, () =>
    withJobs(async ({ database, done, open }) => {
      const [jobs] = await Promise.all([open(), open()])
      const now = systemClock.now()
      const data = Array.from({ length: 20 }, (_, n) => ({ n }))
      await database.transaction((session) =>
        jobs.put(session, 'things', [
          ...data.map((one) => ({ at: now, data: one })),
          { at: addMs(now, 3_600_000), data: { n: 'in an hour' } },
        ]),
      )
      await eventually(() => done.length >= 20, 10_000)
      expect(done.toSorted((a, b) => (a as { n: number }).n - (b as { n: number }).n)).toEqual(data)
    }),
  )

  it('are not there when the transaction that asked for them has failed', { timeout: 30_000 }, () =>
    withJobs(async ({ database, done, open }) => {
      const jobs = await open()
      const at = systemClock.now()
      const failing = database.transaction(async (session) => {
        await jobs.put(session, 'things', [{ at, data: { n: 'lost' } }])
        throw new Error('changed its mind')
      })
      await expect(failing).rejects.toThrow('changed its mind')
      await database.transaction((session) => jobs.put(session, 'things', [{ at, data: { n: 'kept' } }]))
      await eventually(() => done.length > 0, 10_000)
      expect(done).toEqual([{ n: 'kept' }])
    }),
  )

  it('are done at the server that is the primary now, once it is another', { timeout: 30_000 }, async () => {
    const [before, after] = await Promise.all(
      [await createDatabase(), await createDatabase()].map(async (url) =>
        openDatabase({ url, applicationName: 'test' }),
      ),
    )
    let present = before!
    const done: object[] = []
    const jobs = openJobs({
      database: {
        get url() {
          return present.url
        },
      },
      clock: systemClock,
      onError: () => {},
      handlers: { things: async (data) => void done.push(...data) },
    })
    await jobs.ready
    const put = (n: number) =>
      present.transaction((session) => jobs.put(session, 'things', [{ at: systemClock.now(), data: { n } }]))
    await put(1)
    await eventually(() => done.length === 1, 10_000)
    present = after!
    await eventually(
      () =>
        put(2).then(
          () => true,
          () => false,
        ),
      10_000,
    )
    await eventually(() => done.length >= 2, 10_000)
    expect(done[1]).toEqual({ n: 2 })
    await jobs.stop()
    await Promise.all([before!.close(), after!.close()])
  })
})
