// The rules of the tidy test on sources that break them: a rule that finds nothing anywhere would pass for ever.
import { expect, it } from 'vitest'
import { withResults } from '../generate/results.ts'
import { statementsIn } from '../generate/statements.ts'
import { ownLinesOf } from './functions.ts'
import { importFault, placeOf } from './layers.ts'
import { parseSource } from './sources.ts'
import { requestsIn } from './texts.ts'

const faultOf = (from: string, to: string, isType = false) => importFault(placeOf(from)!, placeOf(to)!, to, isType)

it('imports against the direction, and between modules, are found', () => {
  expect(faultOf('src/base/ids.ts', 'src/runtime/pg.ts', true)).toMatch(/base imports only base/)
  expect(faultOf('src/runtime/pg.ts', 'src/modules/stock/types.ts', true)).toMatch(/no commerce/)
  expect(faultOf('src/modules/stock/decide.ts', 'src/modules/stock/store.ts')).toMatch(/imports go/)
  expect(faultOf('src/modules/stock/decide.ts', 'src/runtime/random.ts')).toMatch(/pure code/)
  expect(faultOf('src/modules/stock/store.ts', 'src/modules/orders/types.ts')).toMatch(/import type/)
  expect(faultOf('src/modules/stock/service.ts', 'src/modules/orders/store.ts', true)).toMatch(/types.ts or service.ts/)
  expect(faultOf('src/gateway/app.ts', 'src/cli/start.ts')).toMatch(/imports go/)
})

it('imports along the direction are fine', () => {
  expect(faultOf('src/modules/stock/decide.ts', 'src/base/time.ts')).toBeUndefined()
  expect(faultOf('src/modules/stock/decide.ts', 'src/runtime/pg.ts', true)).toBeUndefined()
  expect(faultOf('src/modules/orders/engine.ts', 'src/modules/stock/decide.ts')).toBeUndefined()
  expect(faultOf('src/modules/stock/routes.ts', 'src/modules/shops/types.ts', true)).toBeUndefined()
  expect(faultOf('src/cell.ts', 'src/modules/orders/service.ts')).toBeUndefined()
})

it('a function is as long as its own lines', () => {
  const text = ['function outer() {', '  return () => {', '    one()', '    two()', '  }', '}', ''].join('\n')
  const lines = ownLinesOf(parseSource('a.ts', text))
  expect(lines.map(({ lines }) => lines)).toEqual([3, 4])
})

it('imports, exports and requests are read from code', () => {
  const text = [
    "import type { A } from './a.ts'",
    "import { type B, c } from './b.ts'",
    'export const d = c',
    "ask('POST', '/v1/orders/bulk')",
    "ask('DELETE /v1/holds/x')",
    "fetch('/healthz')",
  ].join('\n')
  const source = parseSource('test/a.test.ts', text)
  expect(source.imports).toMatchObject([
    { from: './a.ts', names: ['A'], isType: true },
    { from: './b.ts', names: ['B', 'c'], isType: false, line: 2 },
  ])
  expect(source.exports).toEqual([{ name: 'd', line: 3, isType: false }])
  const requests = ['POST /v1/orders/bulk', 'DELETE /v1/holds/x', 'GET /healthz']
  expect(requestsIn(source)).toEqual(expect.arrayContaining(requests))
})

it('a statement counts for every table that its parts name, also in another file or a loop', () => {
  const paths = ['orders/store.ts', 'stock/store.ts'].map((path) => parseSource(`src/modules/${path}`))
  const tables = [
    'orders.orders',
    'orders.states',
    'orders.keys_2',
    'orders.keys_young_0',
    'stock.rows',
    'stock.policies',
  ]
  const found = new Map(statementsIn(paths, tables).map(({ name, uses }) => [name, uses]))
  const does = (name: string, table: string) => [...(found.get(name)?.get(table) ?? [])]
  expect(does('lockOrdersSql', 'orders.states')).toEqual(['locks'])
  expect(does('lockOrdersSql', 'orders.orders')).toEqual(['reads'])
  expect(does('otherDueOrderSql', 'stock.rows')).toEqual(['reads'])
  expect(does('updateStatesSql', 'orders.states')).toEqual(['updates'])
  expect(does('lookUpKeysSql', 'orders.keys_2')).toEqual(['reads'])
  expect(does('insertKeysSql', 'orders.keys_young_0')).toEqual(['inserts'])
  expect(does('removeRowsSql', 'stock.rows')).toEqual(['deletes'])
  expect(does('writePolicySql', 'stock.policies')).toEqual(['inserts', 'updates'])
  expect(found.has('orderOf')).toBe(false)
})

it('the newest recorded run of a bench is told, and a result without its number is a fault', () => {
  const marks = '<!-- results: written by npm run generate from bench/results.jsonl -->\n<!-- end of results -->'
  const machine = { cpu: 'x', cores: 2, memory_mib: 2048 }
  const hot = {
    name: 'hot',
    orders_per_s: 9_000,
    ratio_to_spread: 0.96,
    commit: 'abc',
    date: '',
    machine,
    fixed_job_ms: 9,
  }
  const lines = [{ ...hot, orders_per_s: 1 }, hot].map((line) => JSON.stringify(line)).join('\n')
  expect(withResults(marks, lines)).toContain('| `hot` | **9,000 orders/s** on one SKU, 0.96 × fifty SKUs | abc |')
  expect(() => withResults(marks, JSON.stringify({ ...hot, ratio_to_spread: null }))).toThrow(/ratio_to_spread/)
  expect(() => withResults('no marks', '')).toThrow(/marks/)
})
