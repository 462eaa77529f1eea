// A key costs one look-up every few seconds, however many requests come with it, and brings the shop's settings along.
import { expect, test } from 'vitest'
import type { ShopId } from '../../../src/base/ids.ts'
import { limits } from '../../../src/base/limits.ts'
import { instant } from '../../../src/base/time.ts'
import { createKeys, developmentPrincipals } from '../../../src/modules/shops/service.ts'
import { manualClock } from '../../../src/runtime/clock.ts'
import type { Database } from '../../../src/runtime/pg.ts'
import { DatabaseUnavailable } from '../../../src/runtime/pg-failure.ts'

function keysOn(settings: () => object | undefined) {
  const clock = manualClock(instant(1_780_000_000_000))
  let lookUps = 0
  let open = Promise.withResolvers<void>()
  open.resolve()
  const query = (async (text: string) => {
    lookUps++
    const current = settings()
    await open.promise
    if (!/shops\.keys/.test(text)) return current ? [{ version: 1, settings: current }] : []
    return [{ shop_id: 1, id: 'key', kind: 'sk', scopes: [], secret: '00', settings: current ?? null }]
  }) as unknown as Database['query']
  const shop = { id: 1 as ShopId, secret: Buffer.alloc(32) }
  const principals = developmentPrincipals(async () => shop)
  const keys = createKeys({ query }, clock.now, principals)
  return {
    keys,
    clock,
    lookUps: () => lookUps,
    /** Answers are held until what it answers is called. */
    hold() {
      open = Promise.withResolvers()
      return open.resolve
    },
    reservedMs: async (header: string) => {
      const known = keys.known(header)
      return (known ?? (await keys.find(header)))!.terms.reservationMs
    },
  }
}

for (const header of ['Bearer sk_dev', 'Bearer sk_test_of_a_shop']) {
  test(`${header}: is looked up once for all who come together, and again after a while`, async () => {
    let seconds = 60
    const { keys, clock, lookUps, reservedMs } = keysOn(() => ({ reservation_seconds: seconds }))
    expect(keys.known(header)).toBeUndefined()
    expect(await Promise.all([reservedMs(header), reservedMs(header), reservedMs(header)])).toEqual([60e3, 60e3, 60e3])
    seconds = 120
    clock.pass(limits.keyRememberedMs - 1)
    expect(await reservedMs(header)).toBe(60e3)
    expect(lookUps()).toBe(1)
    clock.pass(1)
    expect(await reservedMs(header)).toBe(120e3)
    expect(lookUps()).toBe(2)
  })

  test(`${header}: a change that this process has made counts at once, even over a look-up under way`, async () => {
    let seconds = 60
    const { keys, hold, reservedMs } = keysOn(() => ({ reservation_seconds: seconds }))
    expect(await reservedMs(header)).toBe(60e3)
    seconds = 120
    keys.forget(1)
    const release = hold()
    const early = reservedMs(header)
    seconds = 180
    keys.forget(1) // the look-up under way has read 120 already
    release()
    await early
    expect(await reservedMs(header)).toBe(180e3)
  })
}

test('a development key is valid while the database is away, with the settings seen last; a stored one is not', async () => {
  let away = false
  const { keys, clock, reservedMs } = keysOn(() => {
    if (away) throw new DatabaseUnavailable('ECONNREFUSED', 'away')
    return { reservation_seconds: 60 }
  })
  expect(await reservedMs('Bearer sk_dev')).toBe(60e3)
  expect(await reservedMs('Bearer sk_test_of_a_shop')).toBe(60e3)
  away = true
  clock.pass(limits.keyRememberedMs)
  expect(await reservedMs('Bearer sk_dev')).toBe(60e3)
  await expect(keys.find('Bearer sk_test_of_a_shop')).rejects.toThrow('away')
  away = false
  expect(await reservedMs('Bearer sk_test_of_a_shop')).toBe(60e3)
  expect(await keys.find('Bearer nonsense')).toBeNull()
})
