// What is left of the promises, as arithmetic on what the cells have counted since their processes began. Nothing is known of the
// time before, so that budget and burn rate are of what was counted alone; where nothing was, there is neither.
import type { ObjectiveList } from '@holdfast/sdk'

type Counted = ObjectiveList['data'][number]

export type Kept = {
  good: number
  total: number
  /** The share that was good. */
  share: number | null
  /** The share of bad ones by that which the target allows: 1 spends exactly the budget (SRE Workbook, chapter 5). */
  burnRate: number | null
  /** Of the bad ones that the target allows among those counted; below 0 when there were more. */
  budgetLeft: number | null
}

export type ObjectiveOfCells = Pick<Counted, 'name' | 'title' | 'description' | 'target' | 'window_days'> & {
  all: Kept
  byCell: { cell: string; kept: Kept }[]
}

export function keptOf({ good, total }: { good: number; total: number }, target: number): Kept {
  if (total === 0) return { good, total, share: null, burnRate: null, budgetLeft: null }
  const burnRate = exact((total - good) / (total * (1 - target)))
  return { good, total, share: good / total, burnRate, budgetLeft: exact(1 - burnRate) }
}

/** Without what binary fractions add: 1 - 0.999 is not 0.001. */
const exact = (value: number): number => Number(value.toFixed(9))

/** Each objective over all cells, in the order in which they tell them. */
export function objectivesOf(answers: readonly { cell: string; value: ObjectiveList }[]): ObjectiveOfCells[] {
  const names = new Map(answers.flatMap(({ value }) => value.data.map((one) => [one.name, one] as const)))
  return [...names.values()].map(({ name, title, description, target, window_days }) => {
    const counted = answers.flatMap(({ cell, value }) => {
      const found = value.data.find((one) => one.name === name)
      return found ? [{ cell, found }] : []
    })
    const sum = (of: (one: Counted) => number): number => counted.reduce((total, { found }) => total + of(found), 0)
    return {
      ...{ name, title, description, target, window_days },
      all: keptOf({ good: sum(({ good }) => good), total: sum(({ total }) => total) }, target),
      byCell: counted.map(({ cell, found }) => ({ cell, kept: keptOf(found, target) })),
    }
  })
}
