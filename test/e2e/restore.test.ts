// The drill of a restored cell, as npm run drill -- restore: real servers, a copied folder, nobody who tells the cell.
import { expect, test } from 'vitest'
import { restoreDrill } from '../drills/restore.ts'

test('a cell that is put back from a backup finds out, sells nothing, and after reconcile no unit is sold twice', {
  timeout: 150_000,
}, async () => {
  const report = await restoreDrill()
  expect(report).toMatchObject({ sold_while_frozen: 0, changed_while_frozen: false, reads_while_frozen: true })
  expect(report.units_after).toBe(report.units)
  expect(report.sold_in_all).toBeLessThanOrEqual(report.units)
})
