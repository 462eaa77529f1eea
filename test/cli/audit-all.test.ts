// What an audit over several cells finds in what they said at different moments.
import { expect, test } from 'vitest'
import { type CellRead, compareCells } from '../../src/cli/audit-all.ts'

type Units = Partial<CellRead['audit']['sums']>
const noSums = {
  ...{ received: 0, returned: 0, corrections: 0, transferred: 0, on_hand: 0 },
  ...{ reserved: 0, committed: 0, shipped: 0, in_flight: 0 },
}
const totals = (of: Record<string, [sent: number, received: number]>) =>
  new Map(
    Object.entries(of).map(([peer, [sent, received]]) => [
      peer,
      new Map([['main\nA', { sku: 'A', location: 'main', sent: both(sent), received: both(received) }]]),
    ]),
  )
const both = (units: number) => ({ units, allowance: 0 })

function read(cell: string, sums: Units, before: Parameters<typeof totals>[0], after = before): CellRead {
  const audit = { consistent: true, sums: { ...noSums, ...sums } } as CellRead['audit']
  return { cell, audit, before: totals(before), after: totals(after) }
}

test('units that are sent and not received are in flight, and all is well', () => {
  const eu1 = read('eu1', { received: 10, on_hand: 6 }, { us1: [4, 0] })
  const us1 = read('us1', { on_hand: 3 }, { eu1: [0, 3] })
  expect(compareCells([eu1, us1], [])).toMatchObject({
    consistent: true,
    faults: [],
    in_flight: { at_least: 1, at_most: 1 },
  })
})

test('units that move while it reads are no fault', () => {
  // Read as it had sent nothing, and the taker's audit after it had received five.
  const eu1 = read('eu1', { received: 10, on_hand: 10 }, { us1: [0, 0] }, { us1: [5, 0] })
  const us1 = read('us1', { on_hand: 5 }, { eu1: [0, 0] }, { eu1: [0, 5] })
  expect(compareCells([eu1, us1], [])).toMatchObject({ consistent: true, in_flight: { at_least: 0, at_most: 5 } })
})

test('a unit that was received and never sent is found, with its place', () => {
  const eu1 = read('eu1', { received: 10, on_hand: 6 }, { us1: [4, 0] })
  const us1 = read('us1', { on_hand: 5 }, { eu1: [0, 5] })
  const { consistent, faults } = compareCells([eu1, us1], [])
  expect(consistent).toBe(false)
  expect(faults).toContainEqual({
    ...{ kind: 'received_more_than_sent', from: 'eu1', to: 'us1', sku: 'A', location: 'main', of: 'units' },
    ...{ sent: 4, received: 5 },
  })
})

test('units that are nowhere are found, though every pair agrees', () => {
  const eu1 = read('eu1', { received: 10, on_hand: 5 }, { us1: [4, 0] })
  const us1 = read('us1', { on_hand: 4 }, { eu1: [0, 4] })
  expect(compareCells([eu1, us1], []).faults).toEqual([{ kind: 'not_conserved', units: 1, at_least: 0, at_most: 0 }])
})

test('what a cell that is missing holds is no fault, nor what one that has left took or brought', () => {
  const eu1 = read('eu1', { received: 10, on_hand: 6, shipped: 1 }, { us1: [4, 0], ap1: [0, 1] })
  const missing = [{ cell: 'us1', why: 'out of reach' }]
  expect(compareCells([eu1], missing)).toMatchObject({
    consistent: true,
    missing,
    in_flight: { at_least: 0, at_most: 0 },
  })
})

test('a cell that is wrong in itself makes all of it wrong', () => {
  const eu1 = read('eu1', {}, {})
  eu1.audit.consistent = false
  expect(compareCells([eu1], []).faults).toEqual([{ kind: 'cell_inconsistent', cell: 'eu1' }])
})
