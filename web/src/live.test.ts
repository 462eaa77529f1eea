// One second of all cells, out of what each says.
import type { Pulse } from '@holdfast/sdk'
import { expect, test } from 'vitest'
import { mainMoney, secondOf } from './live.ts'

const pulse = (orders: number, p50: number | null, p99: number | null, money: Pulse['money_per_minute'] = []): Pulse =>
  ({
    orders_per_s: orders,
    refused_per_s: 1,
    errors_per_s: 0,
    latency_ms: { p50, p99 },
    money_per_minute: money,
  }) as Pulse

test('rates add up; p50 is the mean by orders, p99 that of the slowest cell', () => {
  const second = secondOf([pulse(300, 4, 10), pulse(100, 8, 40), pulse(0, null, null)], 5)
  expect(second).toMatchObject({ at: 5, orders: 400, refused: 3, p50: 5, p99: 40 })
})

test('where nobody orders there is no latency', () => {
  expect(secondOf([pulse(0, null, null)], 5)).toMatchObject({ p50: null, p99: null })
})

test('money is summed by currency, and told in the one in which most came in', () => {
  const euro = (amount: number) => ({ amount, currency: 'EUR' })
  const dollar = (amount: number) => ({ amount, currency: 'USD' })
  expect(mainMoney([pulse(0, null, null, [euro(5), dollar(9)]), pulse(0, null, null, [euro(7)])])).toEqual({
    amount: 12,
    currency: 'EUR',
    otherCurrencies: 1,
  })
  expect(mainMoney([pulse(0, null, null)])).toBe(null)
})
