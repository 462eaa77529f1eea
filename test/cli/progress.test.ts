// Promises of progress and tables: a bar only where there is a terminal, lines elsewhere, columns that line up.
import { expect, test } from 'vitest'
import { startProgress } from '../../src/cli/progress.ts'
import { formatTable } from '../../src/cli/table.ts'

function outputOf(isTTY: boolean) {
  const written: string[] = []
  return { isTTY, write: (text: string | Uint8Array) => written.push(String(text)) > 0, text: () => written.join('') }
}

test('a terminal sees one line, redrawn ten times a second; at its end the count and the time', () => {
  const output = outputOf(true)
  let now = 0
  const progress = startProgress('orders', { total: 400, output, now: () => now })
  for (now = 10; now <= 200; now += 10) progress.set(now)
  expect(output.text()).toBe(
    '\r\x1b[2Korders     [######..................] 100 of 400 in 0.1 s (1,000/s)' +
      '\r\x1b[2Korders     [############............] 200 of 400 in 0.2 s (1,000/s)',
  )
  now = 500
  progress.set(400)
  progress.end()
  expect(output.text().endsWith('\r\x1b[2Korders     400 of 400 in 0.5 s (800/s)\n')).toBe(true)
})

test('anything else sees plain lines, few of them', () => {
  const output = outputOf(false)
  let now = 0
  const progress = startProgress('lines', { output, now: () => now })
  for (now = 1; now <= 6_000; now++) progress.set(now)
  progress.end()
  expect(output.text()).toBe('lines      5,000 in 5.0 s (1,000/s)\nlines      6,000 in 6.0 s (1,000/s)\n')
})

test('columns are as wide as they need, numbers to the right', () => {
  const columns = [{ head: 'SKU' }, { head: 'Units', align: 'right' as const }]
  expect(
    formatTable(columns, [
      ['A', '1'],
      ['LAMP-BRASS', '1,000'],
    ]),
  ).toBe(['SKU         Units', '----------  -----', 'A               1', 'LAMP-BRASS  1,000'].join('\n'))
})
