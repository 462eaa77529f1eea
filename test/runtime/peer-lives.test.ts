// Which of several lives of a cell is the present one, whatever of them is heard first.
import { describe, expect, test } from 'vitest'
import type { CellName, Uuid } from '../../src/base/ids.ts'
import { instant } from '../../src/base/time.ts'
import { type PeerLives, rememberPeerLives } from '../../src/runtime/peer-lives.ts'

const eu1 = 'eu1' as CellName

/** What `says` says as eu1, one after the other: the last is its present life, the others are its ancestors. */
function heard(says: string[][], lives: PeerLives = rememberPeerLives()) {
  return says.map((said, at) => {
    const names = said as Uuid[]
    return lives.saw(eu1, { incarnation: names.at(-1)!, ancestors: names.slice(0, -1), now: instant(1_000 + at) })
  })
}

describe('a process that began after a promotion', () => {
  test('takes the old primary for the older, though it hears it for the first time', () => {
    expect(heard([['old', 'new'], ['old'], ['old', 'new']])).toEqual(['present', 'twice', 'present'])
  })

  test('and takes the new one for the newer when it hears the old one first', () => {
    expect(heard([['old'], ['old', 'new'], ['old']])).toEqual(['present', 'present', 'twice'])
  })

  test('knows it of a life some lives before', () => {
    expect(heard([['a', 'b', 'c'], ['a'], ['a', 'b'], ['a', 'b', 'c']])).toEqual([
      'present',
      'twice',
      'twice',
      'present',
    ])
  })

  test('tells no healthy cell that it is lost when a process of it has not noticed its new life yet', () => {
    const [first, second] = [['old', 'new'], ['old']]
    expect(heard([first, second, first, second, first])).toEqual(['present', 'twice', 'present', 'twice', 'present'])
  })
})

test('an ancestor that was taken for the newer, since the other did not tell where it comes from, is set right', () => {
  expect(heard([['new'], ['old'], ['old', 'new'], ['old']])).toEqual(['present', 'present', 'present', 'twice'])
})

test('of two lives that both come from a third the later to come is the newer', () => {
  expect(heard([['a', 'b'], ['a', 'c'], ['a', 'b'], ['a'], ['a', 'c']])).toEqual([
    'present',
    'present',
    'twice',
    'twice',
    'present',
  ])
})

test('what was said before the newer life spoke is late, and no second claim', () => {
  const lives = rememberPeerLives()
  lives.saw(eu1, { incarnation: 'new' as Uuid, ancestors: ['old' as Uuid], now: instant(2_000) })
  expect(heard([['old']], lives)).toEqual(['late'])
})
