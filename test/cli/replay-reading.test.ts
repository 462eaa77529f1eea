// Promises of reading Online Retail: every line is sold or counted under one rule, money is exact, times and countries are right.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatPennies, formatPrice, lineAmount, parsePrice, wholePennies } from '../../src/cli/replay-amount.ts'
import { matchCredits } from '../../src/cli/replay-credits.ts'
import { type OnlineRetail, readOnlineRetail } from '../../src/cli/replay-online-retail.ts'
import { orderOf } from '../../src/cli/replay-orders.ts'
import { countryCode, isLocalTime, londonToUtc } from '../../src/cli/replay-place.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-replay-'))
})
afterEach(() => rm(folder, { recursive: true }))

const header = 'Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country'
const headerOfOtherYear = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country'

async function read(...files: { name?: string; lines: string[]; header?: string }[]): Promise<OnlineRetail> {
  const paths = []
  for (const [at, file] of files.entries()) {
    const path = join(folder, file.name ?? `${at}.csv`)
    const text = `${[file.header ?? header, ...file.lines].join('\n')}\n`
    await writeFile(path, path.endsWith('.gz') ? gzipSync(text) : text)
    paths.push(path)
  }
  return readOnlineRetail(paths, () => {})
}

const at = '2010-06-01 09:00:00'
const excludedOf = (file: OnlineRetail) =>
  Object.fromEntries(Object.entries(file.excluded).filter(([, lines]) => lines > 0))
const soldLines = (file: OnlineRetail) => [...file.invoices.values()].reduce((sum, { lines }) => sum + lines.length, 0)

describe('lines', () => {
  test('are each sold or counted under one rule, with either header, plain or packed', async () => {
    const lines = [
      `1,A,"6"" ""MUG"", BLUE",2,${at},1.25,17850,United Kingdom`,
      `1,A,"6"" ""MUG"", BLUE",2,${at},1.25,17850,United Kingdom`, // an exact duplicate is sold as written
      `1,POST,POSTAGE,1,${at},18,17850,United Kingdom`, // and so is what is no goods
      `2,A,,-5,${at},0,,United Kingdom`,
      `2,A,,3,${at},0,,United Kingdom`,
      `2,A,,3,${at},-11.5,,United Kingdom`,
      `C3,A,MUG,-1,${at},1.25,17850,United Kingdom`,
      `C3,M,Manual,1,${at},373.57,17850,United Kingdom`, // a credit note's line, whatever its sign
      `A4,B,Adjust bad debt,1,${at},-53594.36,,United Kingdom`,
      `5,A,MUG,0,${at},1.25,,EIRE`,
      `6,A,MUG,1000001,${at},1.25,,EIRE`,
      `7,A,MUG,one,${at},1.25,,EIRE`,
      `7,A,MUG,1.5,${at},1.25,,EIRE`,
      `7,A,MUG,1,${at},£2,,EIRE`,
      `7,A,MUG,1,01/06/2010 09:00,2,,EIRE`,
      `7,A,MUG,1,2010-02-30 09:00:00,2,,EIRE`,
      `7,,MUG,1,${at},2,,EIRE`,
      `7,${'x'.repeat(129)},MUG,1,${at},2,,EIRE`,
      `7,A,MUG,1,${at},2`,
    ]
    for (const file of [{ lines }, { lines, header: headerOfOtherYear, name: 'second.csv.gz' }]) {
      const one = await read(file)
      expect(one.rows).toBe(lines.length)
      expect([...one.invoices.keys()]).toEqual(['1'])
      expect(one.invoices.get('1')).toEqual({
        number: '1',
        time: at,
        customer: '17850',
        country: 'United Kingdom',
        lines: [
          { sku: 'A', quantity: 2, price: 125_000_000n },
          { sku: 'A', quantity: 2, price: 125_000_000n },
          { sku: 'POST', quantity: 1, price: 1_800_000_000n },
        ],
      })
      expect(excludedOf(one)).toEqual({
        quantity_not_positive: 2,
        price_zero: 1,
        price_negative: 1,
        cancellation: 2,
        adjustment: 1,
        quantity_too_large: 1,
        malformed: 8,
      })
      expect(one.receipts).toEqual([
        new Map([
          ['A', 4],
          ['POST', 1],
        ]),
      ])
    }
  })

  test('of an invoice that is too long are counted, not sold, not received, and the invoice is named', async () => {
    const lines = Array.from({ length: 2_001 }, () => `9,A,,1,${at},1,,EIRE`)
    const file = await read({ lines: [...lines, `10,A,,1,${at},1,,EIRE`] })
    expect(excludedOf(file)).toEqual({ invoice_too_long: 2_001 })
    expect(file.tooLong).toEqual(['9'])
    expect(file.receipts).toEqual([new Map([['A', 1]])])
  })

  test('of an invoice that an earlier file has are counted once', async () => {
    const shared = [`1,A,,2,${at},1,,EIRE`, `C2,A,,-1,${at},1,7,EIRE`]
    const file = await read(
      { lines: [`0,A,,1,${at},1,,EIRE`, ...shared] },
      { lines: [...shared, `3,A,,1,${at},1,,EIRE`] },
    )
    expect(excludedOf(file)).toEqual({ in_earlier_file: 2, cancellation: 1 })
    expect([...file.invoices.keys()]).toEqual(['0', '1', '3'])
    expect(file.credits).toHaveLength(1)
    // A file's receipt is what it sells read alone, so that its key does not depend on the files beside it.
    expect(file.receipts).toEqual([new Map([['A', 3]]), new Map([['A', 3]])])
    expect(soldLines(file) + 3).toBe(file.rows)
  })

  test('take the earliest minute of their invoice, and the customer without the decimals of some copies', async () => {
    const file = await read({
      lines: ['1,A,,1,2010-06-01 09:01:00,1,17850.0,EIRE', '1,B,,1,2010-06-01 09:00:00,1,17850.0,EIRE'],
    })
    expect(file.invoices.get('1')).toMatchObject({ time: '2010-06-01 09:00:00', customer: '17850' })
  })

  test('need a header that names their columns, and a file that can be read', async () => {
    await expect(read({ lines: [], header: 'Invoice,StockCode' })).rejects.toThrow(/no column Quantity/)
    await expect(read({ lines: [], header: '' })).rejects.toThrow(/the file is empty/)
    await expect(readOnlineRetail([join(folder, 'none.csv')], () => {})).rejects.toThrow(/ENOENT/)
    await writeFile(join(folder, 'broken.csv.gz'), 'not gzip')
    await expect(readOnlineRetail([join(folder, 'broken.csv.gz')], () => {})).rejects.toThrow(/incorrect header check/)
  })
})

describe('money', () => {
  test('is exact: an amount is quantity × price, rounded half up to the penny', () => {
    const amount = (price: string, quantity: number) => lineAmount(parsePrice(price)!, quantity)
    expect(amount('1.005', 1)).toBe(101) // as a float, 1.005 is below the half
    expect(amount('0.125', 1)).toBe(13)
    expect(amount('0.124', 1)).toBe(12)
    expect(amount('0.001', 5)).toBe(1)
    expect(amount('0.001', 4)).toBe(0)
    expect(amount('25111.09', 1_000_000)).toBe(2_511_109_000_000)
    expect(wholePennies(parsePrice('2.1')!)).toBe(210)
    expect(wholePennies(parsePrice('2.105')!)).toBeUndefined()
    for (const text of ['', '.5', '1.', '1e3', '1,5', '+1', '0x1', '1.123456789', ' 1'])
      expect(parsePrice(text), text).toBeUndefined()
  })

  test('reads and writes every price alike', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
        (price) => parsePrice(formatPrice(price)) === price,
      ),
    )
    expect(formatPrice(parsePrice('10305892.024')!)).toBe('10305892.024')
    expect(formatPrice(parsePrice('6.1')!)).toBe('6.10')
    expect(formatPennies(1_030_589_201)).toBe('10,305,892.01')
    expect(formatPennies(5)).toBe('0.05')
  })
})

describe('time and place', () => {
  test('the UK’s wall clock is UTC in winter, an hour ahead in summer', () => {
    expect(londonToUtc('2009-12-01 07:45:00')).toBe('2009-12-01T07:45:00.000Z')
    expect(londonToUtc('2010-06-01 09:00:00')).toBe('2010-06-01T08:00:00.000Z')
    expect(londonToUtc('2010-03-28 00:59:00')).toBe('2010-03-28T00:59:00.000Z')
    expect(londonToUtc('2010-03-28 01:30:00')).toBe('2010-03-28T01:30:00.000Z') // not on the clock
    expect(londonToUtc('2010-03-28 02:00:00')).toBe('2010-03-28T01:00:00.000Z')
    expect(londonToUtc('2010-10-31 01:30:00')).toBe('2010-10-31T00:30:00.000Z') // twice on the clock: the first
    expect(londonToUtc('2010-10-31 02:00:00')).toBe('2010-10-31T02:00:00.000Z')
    for (const text of ['2010-13-01 00:00:00', '2010-02-29 00:00:00', '2010-01-01 24:00:00', '2010-01-01'])
      expect(isLocalTime(text)).toBe(false)
  })

  test('a country without a code sends no address and stands on the order as it is written', () => {
    const invoice = {
      number: '7',
      time: at,
      customer: '',
      country: 'Channel Islands',
      lines: [{ sku: 'A', quantity: 3, price: parsePrice('0.125')! }],
    }
    expect(orderOf(invoice)).toEqual({
      idempotency_key: 'online-retail.7',
      currency: 'GBP',
      reference: '7',
      placed_at: '2010-06-01T08:00:00.000Z',
      lines: [{ sku: 'A', quantity: 3, amount: { amount: 38, currency: 'GBP' } }],
      payment: { provider: 'none' },
      metadata: { country: 'Channel Islands' },
    })
    const known = orderOf({
      ...invoice,
      country: 'EIRE',
      customer: '17850',
      lines: [{ sku: 'A', quantity: 3, price: parsePrice('0.12')! }],
    })
    expect(known).toMatchObject({ shipping_address: { country: 'IE' }, customer: { external_id: '17850' } })
    expect(known.lines).toEqual([{ sku: 'A', quantity: 3, unit_price: { amount: 12, currency: 'GBP' } }])
    expect(known.metadata).toBeUndefined()
    for (const name of ['West Indies', 'European Community', 'Unspecified', 'constructor'])
      expect(countryCode(name)).toBeUndefined()
  })
})

describe('credit notes', () => {
  const sale = (number: string, customer: string, time: string, quantity: number, price = '1.25') =>
    `${number},A,MUG,${quantity},2010-06-01 ${time}:00,${price},${customer},EIRE`

  test('are matched to units of the same customer, SKU and price that were sold earlier, each unit once', async () => {
    const { invoices, credits } = await read({
      lines: [
        sale('C1', '7', '08:00', -1), // before anything was sold
        sale('1', '7', '09:00', 5),
        sale('C2', '7', '09:00', -1), // the same minute is not earlier
        sale('C3', '7', '10:00', -3),
        sale('C4', '7', '11:00', -4), // two are left
        sale('C4', '7', '11:00', -1), // none is
        sale('C5', '8', '11:00', -1), // another customer
        sale('C6', '7', '11:00', -1, '1.24'), // another price
        sale('2', '', '09:00', 5),
        sale('C7', '', '10:00', -1), // guests cannot be told apart
        sale('C8', '7', '12:00', 1), // no units at all
      ],
    })
    expect(matchCredits(invoices.values(), credits)).toEqual({
      matched: 1,
      unmatched: 8,
      partly: 1,
      units: { matched: 5, unmatched: 8 },
      invoices: { matched: 1, unmatched: 7 },
      found: [
        { sale: '1', credit: 'C3', time: '2010-06-01 10:00:00', sku: 'A', quantity: 3 },
        { sale: '1', credit: 'C4', time: '2010-06-01 11:00:00', sku: 'A', quantity: 2 },
      ],
    })
  })

  test('do not depend on the order of lines in the file', async () => {
    const lines = [sale('C3', '7', '10:00', -3), sale('1', '7', '09:00', 5)]
    const { invoices, credits } = await read({ lines })
    expect(matchCredits(invoices.values(), credits)).toMatchObject({ matched: 1, unmatched: 0 })
  })
})

const data = process.env.HOLDFAST_DATA
test.skipIf(!data)(
  'the published file of 2009–2010 has the figures that are known of it',
  { timeout: 60_000 },
  async () => {
    const file = await readOnlineRetail([join(data!, 'online-retail', 'online_retail_2009-2010.csv.gz')], () => {})
    const lines = [...file.invoices.values()].flatMap((invoice) => invoice.lines)
    expect(file.rows).toBe(525_461)
    expect(file.invoices.size).toBe(20_951)
    expect(lines).toHaveLength(511_565)
    expect(lines.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(5_831_928)
    expect(lines.reduce((sum, { price, quantity }) => sum + lineAmount(price, quantity), 0)).toBe(1_030_589_201)
    expect(formatPrice(lines.reduce((sum, { price, quantity }) => sum + price * BigInt(quantity), 0n))).toBe(
      '10305892.024',
    )
    expect(lines.filter(({ price }) => wholePennies(price) === undefined)).toHaveLength(14)
    expect(excludedOf(file)).toEqual({
      cancellation: 10_206,
      adjustment: 3,
      quantity_not_positive: 2_121,
      price_zero: 1_566,
    })
    expect(lines.length + 10_206 + 3 + 2_121 + 1_566).toBe(file.rows)
  },
)
