// A database knows whether it is still the one it was.
import { beforeEach, expect, test } from 'vitest'
import { declareRestored, ensureIncarnation, seqInPresentLife } from '../../src/runtime/incarnation.ts'
import { openDatabase } from '../../src/runtime/pg.ts'
import { readFrozen, thaw } from '../../src/runtime/standing.ts'
import { append, createEventLog, type EventLog, history } from '../support/event-log.ts'
import { eventually } from '../support/eventually.ts'

let log: EventLog

beforeEach(async () => {
  log = await createEventLog()
  return () => log.database.close()
})

const pretend = (change: string) =>
  log.database.transaction((session) => session.run(`update runtime.incarnation set ${change}`))

test('the same server is the same life, for however many processes', async () => {
  const again = await Promise.all(Array.from({ length: 6 }, () => ensureIncarnation(log.database)))
  for (const lives of again) expect(lives).toEqual(log.lives)
  expect(log.lives).toHaveLength(1)
})

test.each([
  ['system identifier', `system_identifier = '1'`, 'system'],
  ['timeline', 'timeline = 0', 'timeline'],
])('another %s is a new life, which shares what was given out before', async (_, change, reason) => {
  await log.database.transaction((session) => append(session, history('order/1', 7)))
  await pretend(change)
  const lives = await ensureIncarnation(log.database)
  expect(lives).toHaveLength(2)
  expect(lives[1]!.beganAfterSeq).toBe(7)
  expect(lives[1]!.incarnation).not.toBe(lives[0]!.incarnation)
  expect(await ensureIncarnation(log.database)).toEqual(lives)
  const [row] = await log.database.query<{ reason: string }>('select reason from runtime.incarnation where number = 2')
  expect(row!.reason).toBe(reason)
})

const standing = (change: string) =>
  log.database.transaction((session) => session.run(`update runtime.standing set ${change}`))

test.each([
  ['a local cell that was promoted', 'local', 'timeline = 0', 'timeline'],
  ['a geo cell that was promoted', 'geo', 'timeline = 0', undefined],
  ['a geo cell that was copied', 'geo', `system_identifier = '1'`, 'system'],
])('%s may have lost something, or not', async (_, durability, change, why) => {
  await standing(`durability = '${durability}'`)
  await pretend(change)
  await ensureIncarnation(log.database)
  expect((await readFrozen(log.database))?.why).toBe(why)
  await thaw(log.database)
  await ensureIncarnation(log.database)
  expect(await readFrozen(log.database)).toBeUndefined() // once for each life
})

test('whoever serves a database that was restored is cut off, and finds the new life when it comes back', async () => {
  const session = await log.database.openSession('lane')
  await declareRestored(log.database, { cutOff: true })
  await eventually(() => session.lost)
  expect((await readFrozen(log.database))?.why).toBe('operator')
})

test('an operator may say that it was restored', async () => {
  const lives = await declareRestored(log.database)
  expect(lives).toHaveLength(2)
  expect(await ensureIncarnation(log.database)).toEqual(lives)
})

test('a position of an earlier life stands where all lives since have begun', () => {
  const life = (number: number, beganAfterSeq: number) => ({
    incarnation: `01890000-0000-7000-8000-00000000000${number}` as never,
    beganAfterSeq,
  })
  const lives = [life(1, 0), life(2, 50), life(3, 40)]
  const at = (number: number, seq: number) => seqInPresentLife(lives, { incarnation: life(number, 0).incarnation, seq })
  expect(at(3, 90)).toBe(90)
  expect(at(2, 90)).toBe(40)
  expect(at(1, 90)).toBe(40)
  expect(at(1, 30)).toBe(30)
  expect(at(4, 30)).toBe('unknown')
})

test('an ordinary role can tell, and can see who writes to the log', async () => {
  const role = `plain_${Date.now()}`
  await log.database.transaction((session) =>
    session.script(`
      create role ${role} login password 'plain';
      grant usage on schema runtime to ${role};
      grant select, insert, update, delete on all tables in schema runtime to ${role};
      grant usage, select on all sequences in schema runtime to ${role}`),
  )
  const url = new URL(log.url)
  url.username = role
  url.password = 'plain'
  const plain = openDatabase({ url: url.href, applicationName: 'plain' })
  try {
    await pretend('timeline = 0')
    expect(await ensureIncarnation(plain)).toHaveLength(2)
    await log.database.transaction(async (session) => {
      await append(session, history('order/1', 1))
      const writers = `select from pg_locks where relation = 'runtime.events'::regclass and mode = 'RowExclusiveLock'`
      expect(await plain.query(writers)).toHaveLength(1)
    })
  } finally {
    await plain.close()
    await log.database.transaction((session) => session.script(`drop owned by ${role}; drop role ${role}`))
  }
})
