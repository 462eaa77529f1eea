// The arithmetic of error budgets.
import type { ObjectiveList } from '@holdfast/sdk'
import { describe, expect, test } from 'vitest'
import { keptOf, objectivesOf } from './error-budgets.ts'

const told = (name: string, good: number, total: number, target = 0.99): ObjectiveList['data'][number] => ({
  ...{ name, good, total, target },
  title: name,
  description: '',
  window_days: 30,
  since: '2026-11-23T21:00:00.000Z',
})

const list = (...data: ObjectiveList['data']): ObjectiveList => ({ data, next_cursor: null })

describe('what is kept of an objective', () => {
  test('half of the bad ones that are allowed leave half of the budget', () => {
    const { share, burnRate, budgetLeft } = keptOf({ good: 995, total: 1000 }, 0.99)
    expect(share).toBe(0.995)
    expect([burnRate, budgetLeft]).toEqual([0.5, 0.5])
  })

  test('more bad ones than are allowed burn more than once, and leave less than nothing', () => {
    const { burnRate, budgetLeft } = keptOf({ good: 96, total: 100 }, 0.99)
    expect([burnRate, budgetLeft]).toEqual([4, -3])
  })

  test('where nothing was counted nothing is said', () => {
    expect(keptOf({ good: 0, total: 0 }, 0.99)).toEqual({
      good: 0,
      total: 0,
      share: null,
      burnRate: null,
      budgetLeft: null,
    })
  })
})

test('cells are summed by their events, so that one without any changes nothing', () => {
  const [one] = objectivesOf([
    { cell: 'eu1', value: list(told('audit', 990, 1000)) },
    { cell: 'us1', value: list(told('audit', 0, 0)) },
    { cell: 'ap1', value: list(told('audit', 80, 100)) },
  ])
  expect(one!.all).toMatchObject({ good: 1070, total: 1100 })
  expect(one!.byCell.map(({ cell, kept }) => [cell, kept.share])).toEqual([
    ['eu1', 0.99],
    ['us1', null],
    ['ap1', 0.8],
  ])
})

test('an objective that only a newer cell tells of is that cell’s alone', () => {
  const found = objectivesOf([
    { cell: 'eu1', value: list(told('audit', 1, 1)) },
    { cell: 'us1', value: list(told('audit', 1, 2), told('newer', 3, 4)) },
  ])
  expect(found.map(({ name, all }) => [name, all.good, all.total])).toEqual([
    ['audit', 2, 3],
    ['newer', 3, 4],
  ])
})
