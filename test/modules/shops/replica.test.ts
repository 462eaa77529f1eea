// Shops, keys, settings, locations and policies are the same in every cell in the end, whatever is lost, doubled or late.
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { CellName, Sku } from '../../../src/base/ids.ts'
import type { Json } from '../../../src/base/json.ts'
import { instant } from '../../../src/base/time.ts'
import { readShop } from '../../../src/modules/shops/service.ts'
import { defaultSettings } from '../../../src/modules/shops/settings.ts'
import { readHistory, readSettings } from '../../../src/modules/shops/settings-store.ts'
import { readLocations, readPolicy } from '../../../src/modules/stock/reads.ts'
import { postgresBus } from '../../../src/runtime/bus-postgres.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { type LogReader, startLogReader } from '../../../src/runtime/logreader.ts'
import { openMetrics } from '../../../src/runtime/metrics.ts'
import type { PeerLog } from '../../../src/runtime/peer-log.ts'
import { copyReplica, replicaConsumer, replicaHandler, toldTo } from '../../../src/runtime/replica.ts'
import { createReplicaAges } from '../../../src/runtime/replica-age.ts'
import { receive, shopId, submission } from '../../support/engine.ts'
import { eventually } from '../../support/eventually.ts'
import {
  changes,
  deliver,
  logOf,
  makeShopAt,
  openReplicaCell,
  type ReplicaCell,
  stateOf,
} from '../../support/replicas.ts'

const opened: ReplicaCell[] = []
let eu: ReplicaCell
let us: ReplicaCell
beforeEach(async () => {
  ;[eu, us] = await Promise.all([openReplicaCell('eu1'), openReplicaCell('us1')])
  opened.push(eu, us)
  await makeShopAt(eu)
})
afterAll(async () => {
  for (const cell of opened) await cell.close()
})

const all = async (from: ReplicaCell, to: ReplicaCell) => deliver(from.name, to, await logOf(from))
const exchange = async () => {
  await all(eu, us)
  await all(us, eu)
}
const header = (text: string) => `Bearer ${text}`

describe('what one cell has written', () => {
  test('is followed in another by its log: the shop with its number and secret, its place, its keys', async () => {
    const { text } = await changes.issue(eu)
    expect(await us.keys.find(header(text))).toBeNull()
    const now = () => systemClock.now()
    const reader = await startLogReader({ database: eu.database, lives: eu.lives, now: Date.now, onError: () => {} })
    const metrics = openMetrics()
    const ages = createReplicaAges(metrics, now)
    const errors: unknown[] = []
    const onError = (_: string, error: unknown) => void errors.push(error)
    let polledAt = instant(1)
    const standing = { get: () => ({ horizon: reader.horizon, at: polledAt }) } // as a reader of a peer's log has it
    const watched = ages.watch(eu.name, Object.defineProperty(reader as PeerLog & LogReader, 'standing', standing))
    expect(ages.ages()).toEqual([])
    const bus = postgresBus({ database: us.database, reader: watched, clock: systemClock, onError })
    bus.consume(replicaConsumer(eu.name, us.kinds))
    await eventually(async () => (await us.keys.find(header(text))) !== null)
    expect(await readShop(us.database)).toEqual(await readShop(eu.database))
    expect(await readLocations(us.database, shopId)).toMatchObject([{ code: 'main', cell: 'eu1', version: 1 }])
    expect((await us.keys.find(header(text)))!.scopes).toEqual(new Set(['orders:read']))

    await eventually(() => ages.ages().length === 1) // the events' own time, until a later poll finds nothing more
    polledAt = now()
    await eventually(() => ages.ages()[0]!.asOf === polledAt)
    expect(ages.ages()).toEqual([{ from: 'eu1', asOf: polledAt }])
    expect(await metrics.text()).toMatch(/holdfast_replica_age_seconds\{from="eu1"\} \d/)
    ages.forget(eu.name)
    expect(ages.ages()).toEqual([])
    await bus.close()
    await reader.stop()
    expect(errors).toEqual([])
    expect(await logOf(us)).toEqual([]) // whoever wants it reads the log of the cell that wrote it
  })

  test('is told to another zone without addresses, which come once somebody of their own zone tells them', async () => {
    const refused = async () => (await readSettings(us.database, shopId))!.settings.risk?.refuse?.emails
    const risk = { ...defaultSettings.risk, refuse: { ...defaultSettings.risk.refuse, emails: ['a@example.com'] } }
    await changes.set(eu, 60, { risk })
    await changes.set(eu, 120)
    const log = await logOf(eu)
    await deliver(
      eu.name,
      us,
      log.map((event) => toldTo(eu.kinds, () => false)(us.name, event)),
    )
    expect(await refused()).toBeUndefined()
    await deliver(
      eu.name,
      us,
      log.filter(({ data }) => !data.includes('a@example.com')),
    )
    expect(await refused()).toEqual([])
    const handler = replicaHandler(eu.database, eu.kinds, () => true)
    await copyReplica((body) => handler(us.name, body, AbortSignal.timeout(5_000)), us.database, us.kinds)
    expect((await readHistory(us.database, shopId, 2, 1))[0]!.settings.risk?.refuse?.emails).toEqual(['a@example.com'])
    expect(await stateOf(us)).toEqual(await stateOf(eu))
  })

  test('bites at once: a key that was revoked elsewhere is refused though it is still remembered', async () => {
    const { text } = await changes.issue(eu)
    await all(eu, us)
    expect(await us.keys.find(header(text))).not.toBeNull()
    await changes.revoke(eu, 0)
    expect(us.keys.known(header(text))).not.toBeNull()
    await all(eu, us)
    expect(us.keys.known(header(text))).toBeUndefined()
    expect(await us.keys.find(header(text))).toBeNull()
    await all(eu, us) // the making of the key again, after its end
    expect(await us.keys.find(header(text))).toBeNull()
  })

  test('may arrive before its shop, and opens nothing until the shop is there', async () => {
    const { text } = await changes.issue(eu)
    await changes.set(eu, 120)
    const log = await logOf(eu)
    await deliver(
      eu.name,
      us,
      log.filter(({ type }) => type !== 'shop.set'),
    )
    expect(await us.keys.find(header(text))).toBeNull()
    await deliver(
      eu.name,
      us,
      log.filter(({ type }) => type === 'shop.set'),
    )
    us.keys.forget(shopId)
    expect((await us.keys.find(header(text)))!.terms.reservationMs).toBe(120_000)
  })

  test('is copied whole by a cell that comes later, when the events are gone', async () => {
    for (let nth = 0; nth < 12; nth++) await changes.set(eu, 60 + nth) // more than one page
    const { text } = await changes.issue(eu)
    await changes.issue(eu)
    await changes.revoke(eu, 1)
    await changes.locate(eu, 'north', 3)
    await changes.police(eu, 'A-1', { tracking: 'none', regions: ['eu', 'us'], group: 'hall' })
    const handler = replicaHandler(eu.database, eu.kinds, () => true)
    const ask = (body: Json) => handler(us.name, body, new AbortController().signal)
    await copyReplica(ask, us.database, us.kinds)
    expect(await stateOf(us)).toEqual(await stateOf(eu))
    expect(await us.keys.find(header(text))).not.toBeNull()
    await copyReplica(ask, us.database, us.kinds)
    expect(await stateOf(us)).toEqual(await stateOf(eu))
    await expect(ask({ kind: 'order', after: [0], limit: 5 })).rejects.toThrow('invalid_body')
  })

  test('stands over what was written without knowing of it only by its version, then by the name of its cell', async () => {
    await all(eu, us)
    await changes.locate(eu, 'north', 1)
    await changes.locate(eu, 'north', 2)
    await changes.locate(us, 'north', 3)
    await changes.set(eu, 100)
    await changes.set(us, 200)
    await exchange()
    for (const cell of [eu, us]) {
      const locations = await readLocations(cell.database, shopId)
      expect(locations.find(({ code }) => code === 'north')).toMatchObject({ priority: 2, version: 2 })
      const history = await readHistory(cell.database, shopId, 1_000, 10)
      expect(history).toMatchObject([{ version: 1, settings: { reservation_seconds: 200 } }])
    }
    await changes.set(eu, 300)
    await exchange()
    expect(await readHistory(us.database, shopId, 1_000, 10)).toMatchObject([{ version: 2 }, { version: 1 }])
  })
})

describe('a policy from elsewhere', () => {
  const rowsAt = ({ database }: ReplicaCell) =>
    database.query<{ tracking: string; allowance: number }>(
      `select tracking, allowance from stock.rows where sku = 'A-1' order by id`,
    )
  const policyAt = ({ database }: ReplicaCell) => readPolicy(database, shopId, 'A-1' as Sku)
  const stock = ({ engine }: ReplicaCell) => engine.run(0, [submission(receive({ 'A-1': 5 }))])

  test('of a SKU that is not here yet is kept, and the rows that are made later are counted as it says', async () => {
    await changes.police(eu, 'A-1', { tracking: 'none', allowance: 7 })
    await all(eu, us)
    expect(await rowsAt(us)).toEqual([])
    expect(await policyAt(us)).toMatchObject({ allowance: 7, version: 1, writtenBy: 'eu1', elsewhere: 1 })
    await stock(us)
    expect(await rowsAt(us)).toEqual([{ tracking: 'none', allowance: 0 }])
  })

  test('changes how the rows here are counted, and no share of the allowance', async () => {
    await all(eu, us)
    await stock(us)
    await changes.police(us, 'A-1', { allowance: 4 })
    await all(us, eu)
    await changes.police(eu, 'A-1', { tracking: 'none', allowance: 9 })
    await all(eu, us)
    expect(await rowsAt(us)).toEqual([{ tracking: 'none', allowance: 4 }])
    expect(await policyAt(us)).toMatchObject({ allowance: 9, version: 2, writtenBy: 'eu1' })
  })

  test('counts as a version, and leaves no gap in the events of this cell', async () => {
    await all(eu, us)
    await changes.police(us, 'A-1')
    await all(us, eu)
    await changes.police(eu, 'A-1')
    await changes.police(eu, 'A-1')
    await all(eu, us)
    await changes.police(us, 'A-1')
    expect(await policyAt(us)).toMatchObject({ version: 4, writtenBy: 'us1', elsewhere: 2 })
    const told = (await logOf(us)).filter(({ type }) => type === 'stock.policy_set')
    expect(told.map(({ subjectVersion }) => subjectVersion)).toEqual([1, 2])
    await all(us, eu)
    expect(await policyAt(eu)).toMatchObject({ version: 4, writtenBy: 'us1' })
  })

  test('that was told before cells told versions is of the version of its subject', async () => {
    const old = { seq: 1, shopId: 1, eventId: 'e', subject: 'sku:A-1', subjectVersion: 3, type: 'stock.policy_set' }
    const data = JSON.stringify({ sku: 'A-1', tracking: 'none', allowance: 2, regions: null, group: null })
    await deliver('eu1' as CellName, us, [{ ...old, at: instant(0), data } as never])
    expect(await policyAt(us)).toMatchObject({ version: 3, writtenBy: '', allowance: 2 })
  })
})

type Step =
  | { kind: 'change'; at: 0 | 1; change: keyof typeof changes; nth: number }
  | { kind: 'deliver'; from: 0 | 1; order: number[] }

const cellNumber = fc.constantFrom<0 | 1>(0, 1)
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      at: cellNumber,
      change: fc.constantFrom(...(Object.keys(changes) as (keyof typeof changes)[])),
      nth: fc.nat(3),
    }),
  },
  {
    weight: 1,
    // Places in the sender's log, in any order, some of them often and others never.
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      from: cellNumber,
      order: fc.array(fc.nat(50), { maxLength: 12 }),
    }),
  },
)

async function change(cell: ReplicaCell, kind: keyof typeof changes, nth: number): Promise<void> {
  if (kind === 'issue') await changes.issue(cell)
  else if (kind === 'revoke') await changes.revoke(cell, nth)
  else if (kind === 'set') await changes.set(cell, 60 + nth)
  else if (kind === 'locate') await changes.locate(cell, `place-${nth % 2}`, nth)
  else await changes.police(cell, `sku-${nth % 2}`, { tracking: nth > 1 ? 'none' : 'counted', group: `g${nth}` })
}

test('changes at two cells, heard of in any order, some often and some late, end in the same rows in both', async () => {
  await all(eu, us)
  const cells = [eu, us] as const
  const run = async (steps: Step[]) => {
    for (const step of steps) {
      if (step.kind === 'change') {
        await change(cells[step.at], step.change, step.nth)
        continue
      }
      const log = await logOf(cells[step.from])
      const heard = step.order.flatMap((place) => log[log.length - 1 - place] ?? [])
      await deliver(cells[step.from].name, cells[1 - step.from]!, heard)
    }
    await all(us, eu)
    await deliver(eu.name, us, (await logOf(eu)).toReversed())
    expect(await stateOf(us)).toEqual(await stateOf(eu))
    for (const { database } of cells) {
      const wrong = await database.query(
        'select from stock.rows join stock.policies p using (shop_id, sku) where stock.rows.tracking <> p.tracking',
      )
      expect(wrong).toHaveLength(0)
    }
  }
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 10, maxLength: 40 }), run),
    { numRuns: 40, endOnFailure: true }, // one database for all runs: a smaller case would begin where the last one ended
  )
})
