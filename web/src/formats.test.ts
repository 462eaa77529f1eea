// How numbers, money and times are written, by locale.
import { expect, test } from 'vitest'
import {
  formatAgo,
  formatBytes,
  formatDuration,
  formatMoney,
  formatMoneyShort,
  formatMs,
  formatRate,
  formatShare,
  formatTime,
} from './formats.ts'

const plain = (text: string): string => text.replaceAll(/[\u00a0\u202f]/g, ' ')

test('money has the digits of its currency, and the manner of the locale', () => {
  expect(plain(formatMoney({ amount: 123_456, currency: 'EUR' }, 'de-DE'))).toBe('1.234,56 €')
  expect(formatMoney({ amount: 123_456, currency: 'EUR' }, 'en-GB')).toBe('€1,234.56')
  expect(formatMoney({ amount: 1234, currency: 'JPY' }, 'en-US')).toBe('¥1,234')
  expect(plain(formatMoney({ amount: 1234, currency: 'KWD' }, 'en-US'))).toBe('KWD 1.234')
})

test('sums of money are short when they are large', () => {
  expect(formatMoneyShort({ amount: 123_400, currency: 'EUR' }, 'en-GB')).toBe('€1,234')
  expect(formatMoneyShort({ amount: 123_456_700, currency: 'EUR' }, 'en-US')).toBe('€1.2M')
})

test('rates show tenths only while they are small', () => {
  expect([0, 0.44, 9.94, 1234.5].map((rate) => formatRate(rate, 'en-GB'))).toEqual(['0', '0.4', '9.9', '1,235'])
})

test('a share is rounded down, so that all is said of all alone', () => {
  expect([1, 0.99999, 0.999, 0.5, 0].map((share) => formatShare(share, 'en-GB'))).toEqual([
    '100%',
    '99.99%',
    '99.9%',
    '50%',
    '0%',
  ])
})

test('short times are in milliseconds, long ones in seconds, and longer ones in two units', () => {
  expect([0.42, 12.4, 999, 1500, 12_000].map((ms) => formatMs(ms, 'en-GB'))).toEqual([
    '0.4 ms',
    '12 ms',
    '999 ms',
    '1.5 s',
    '12 s',
  ])
  expect([0, 59, 200, 7200, 90_061].map(formatDuration)).toEqual(['0 s', '59 s', '3 min 20 s', '2 h', '1 d 1 h'])
})

test('what was a while ago says how long, and from two minutes on without seconds', () => {
  expect([0, 1400, 12_000, 119_000, 150_000].map((ms) => formatAgo(0, ms))).toEqual([
    'now',
    'now',
    '12 s ago',
    '1 min 59 s ago',
    '2 min ago',
  ])
})

test('sizes are in thousands', () => {
  expect([0, 999, 182_000_000, 1_500_000_000].map((bytes) => formatBytes(bytes, 'en-GB'))).toEqual([
    '0 B',
    '999 B',
    '182 MB',
    '1.5 GB',
  ])
})

test('a time in full says its zone', () => {
  const at = '2026-11-23T21:08:49.777Z'
  expect(formatTime(at, 'clock', 'en-GB', 'UTC')).toBe('21:08:49')
  expect(formatTime(at, 'full', 'en-GB', 'America/New_York')).toContain('GMT-5')
})
