// Who may pass, decided on readings that come in any order with calls, losses and changes of the server.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  beginReading,
  dismissAll,
  endReading,
  isAnybodyWaiting,
  isShut,
  loseConnection,
  parseLsn,
  replicatedLsn,
  shutGate,
} from '../../src/runtime/gate-state.ts'

type Waiter = { life: string; committed: bigint; connection: number }

/** What the world may do between two readings. `standby` is how far behind the primary it stands, null: away. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('commit' as const), bytes: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ kind: fc.constant('flush' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant('send' as const) }),
  fc.record({ kind: fc.constant('answer' as const), isAway: fc.boolean() }),
  fc.record({ kind: fc.constant('lose' as const), isOtherServer: fc.boolean() }),
)

test('nobody passes whose commit is not on a standby of that server, and nobody is forgotten', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const state = shutGate<Waiter>()
      let [primary, standby, life, connection, calls, ended, now] = [0n, 0n, 0, 0, 0, 0, 0]
      let sent: { flushed: bigint; at: number } | undefined
      const check = (passed: readonly Waiter[]): void => {
        for (const waiter of passed) {
          expect(waiter.life).toBe(String(life))
          expect(waiter.committed <= standby).toBe(true)
          expect(waiter.connection).toBe(connection)
        }
      }
      for (const one of steps) {
        now += 10
        if (one.kind === 'commit') {
          primary += BigInt(one.bytes)
          state.called.push({ life: String(life), committed: primary, connection })
          calls++
        } else if (one.kind === 'flush') {
          standby += BigInt(Math.floor(Number(primary - standby) * one.share))
        } else if (one.kind === 'send' && !sent) {
          sent = { flushed: primary, at: now }
          beginReading(state)
        } else if (one.kind === 'answer' && sent) {
          const reading = { life: String(life), flushed: sent.flushed, replicated: one.isAway ? null : standby }
          const { pass, refuse } = endReading(state, reading, sent.at)
          sent = undefined
          check(pass)
          ended += pass.length + refuse.length
        } else if (one.kind === 'lose') {
          ended += loseConnection(state).length
          sent = undefined
          connection++
          if (one.isOtherServer) {
            life++
            primary = standby // its tail is gone
          }
        }
      }
      ended += dismissAll(state).length
      expect(ended).toBe(calls)
      expect(isAnybodyWaiting(state)).toBe(false)
    }),
  )
})

describe('the gate', () => {
  const shutMs = 2_000
  const read = (state: ReturnType<typeof shutGate<Waiter>>, at: number, flushed: bigint, replicated: bigint | null) => {
    beginReading(state)
    return endReading(state, { life: 'a', flushed, replicated }, at)
  }

  test('is shut until a standby has what is there', () => {
    const state = shutGate<Waiter>()
    expect(isShut(state, 0, shutMs)).toBe(true)
    read(state, 0, 100n, 50n)
    expect(isShut(state, 1, shutMs)).toBe(true)
    read(state, 10, 120n, 100n)
    expect(isShut(state, 11, shutMs)).toBe(false)
  })

  test('stays open behind a standby that is late but comes, and shuts when one has not come for two seconds', () => {
    const state = shutGate<Waiter>()
    for (let at = 0; at <= 10_000; at += 100) {
      read(state, at, BigInt(10_000 + at), BigInt(10_000 + at - 500))
      if (at >= 1_100) expect(isShut(state, at, shutMs)).toBe(false)
    }
    read(state, 10_100, 30_000n, 19_500n)
    expect(isShut(state, 11_000, shutMs)).toBe(false)
    expect(isShut(state, 12_100, shutMs)).toBe(true)
  })

  test('a loss of the connection does not start the two seconds anew', () => {
    const state = shutGate<Waiter>()
    read(state, 0, 100n, 100n)
    for (let at = 500; at < 2_000; at += 500) loseConnection(state)
    expect(isShut(state, 1_999, shutMs)).toBe(false)
    expect(isShut(state, 2_000, shutMs)).toBe(true)
    read(state, 2_100, 40n, 40n)
    expect(isShut(state, 2_101, shutMs)).toBe(false)
  })

  test('refuses who committed on another server than the one it reads', () => {
    const state = shutGate<Waiter>()
    state.called.push({ life: 'old', committed: 5n, connection: 0 })
    const { pass, refuse } = read(state, 0, 100n, 100n)
    expect(pass).toEqual([])
    expect(refuse.map((waiter) => waiter.life)).toEqual(['old'])
  })
})

test.each<[string, number[], number | null]>([
  ['"a"', [5], 5],
  ['*', [3, 5], 5],
  ['', [], null],
  ['1 (a, b)', [7], 7],
  ['FIRST 2 (a, b, c)', [7, 4], 4],
  ['first 2 (a, b)', [7], null],
  ['ANY 2 (a, b, c)', [3, 9, 6], 6],
])('with synchronous_standby_names %j and standbys at %j, %s is replicated', (names, standbys, expected) => {
  expect(replicatedLsn(names, standbys.map(BigInt))).toBe(expected === null ? null : BigInt(expected))
})

test('positions in the log are read as PostgreSQL writes them', () => {
  expect(parseLsn('0/0')).toBe(0n)
  expect(parseLsn('16/B374D848')).toBe(97_500_059_720n)
})
