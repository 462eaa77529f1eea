// Reads the UCI Online Retail CSVs (sets 352 and 502; gz or plain, either header) into invoices to sell.
// Every line of every file is either part of an invoice or counted under one named rule; none is dropped silently.
import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { parse } from 'csv-parse'
import { limits } from '../base/limits.ts'
import { type Price, parsePrice } from './replay-amount.ts'
import { isLocalTime } from './replay-place.ts'

/** Why a line is not sold; the first rule that fits counts. */
export const rules = {
  malformed: 'no line that can be read: a column missing, a number or time that is none, a SKU no shop can have',
  in_earlier_file: 'its invoice is in an earlier file too; the two years overlap by nine days',
  cancellation: 'the invoice begins with C: a credit note, matched to earlier units',
  adjustment: 'the invoice begins with A: bad debt, no goods',
  quantity_not_positive: 'stock written off, or nothing moved',
  price_negative: 'a price below 0',
  price_zero: 'given away or lost, not sold',
  quantity_too_large: `more than ${limits.quantityMax.toLocaleString('en')} units in a line`,
  invoice_too_long: `its invoice has more than ${limits.orderLinesMax.toLocaleString('en')} lines`,
} as const
export type Rule = keyof typeof rules

export type SaleLine = { sku: string; quantity: number; price: Price }
/** `time` is the earliest of its lines, UK wall clock; `customer` is empty for guests. */
export type Invoice = { number: string; time: string; customer: string; country: string; lines: SaleLine[] }
export type CreditLine = {
  invoice: string
  time: string
  customer: string
  sku: string
  quantity: number
  price: Price
}

export type OnlineRetail = {
  rows: number
  invoices: Map<string, Invoice>
  credits: CreditLine[]
  excluded: Record<Rule, number>
  /** Of invoices that no order can hold. */
  tooLong: string[]
  /** Units that each file sells, read alone: what is received before, so that a file's receipt is always the same. */
  receipts: Map<string, number>[]
}

export class FileUnreadable extends Error {
  override readonly name = 'FileUnreadable'
}

/** `onRows` hears about progress, now and then. Throws FileUnreadable with one line that says what is wrong. */
export async function readOnlineRetail(
  paths: readonly string[],
  onRows: (rows: number) => void,
): Promise<OnlineRetail> {
  const all: OnlineRetail = {
    rows: 0,
    invoices: new Map(),
    credits: [],
    excluded: Object.fromEntries(Object.keys(rules).map((rule) => [rule, 0])) as Record<Rule, number>,
    tooLong: [],
    receipts: [],
  }
  const earlier = new Set<string>()
  for (const path of paths) {
    const file = { sold: new Map<string, Invoice>(), numbers: new Set<string>() }
    for await (const row of readRows(path)) {
      all.rows++
      if (all.rows % 10_000 === 0) onRows(all.rows)
      takeRow(all, file, row, earlier)
    }
    closeFile(all, file.sold, earlier)
    for (const number of file.numbers) earlier.add(number)
  }
  onRows(all.rows)
  return all
}

type Row = {
  invoice: string
  sku: string
  quantity: number
  time: string
  price: Price
  customer: string
  country: string
}
type FileSoFar = { sold: Map<string, Invoice>; numbers: Set<string> }

function takeRow(all: OnlineRetail, file: FileSoFar, row: Row | undefined, earlier: ReadonlySet<string>): void {
  if (row === undefined) {
    all.excluded.malformed++
    return
  }
  file.numbers.add(row.invoice)
  const rule = ruleOf(row)
  const seen = earlier.has(row.invoice)
  if (rule === undefined) addSale(file.sold, row)
  else all.excluded[seen ? 'in_earlier_file' : rule]++
  if (rule === 'cancellation' && !seen) {
    const { invoice, time, customer, sku, quantity, price } = row
    all.credits.push({ invoice, time, customer, sku, quantity: -quantity, price })
  }
}

function ruleOf(row: Row): Rule | undefined {
  if (row.invoice.startsWith('C')) return 'cancellation'
  if (row.invoice.startsWith('A')) return 'adjustment'
  if (row.quantity <= 0) return 'quantity_not_positive'
  if (row.price < 0n) return 'price_negative'
  if (row.price === 0n) return 'price_zero'
  if (row.quantity > limits.quantityMax) return 'quantity_too_large'
  return undefined
}

function addSale(sold: Map<string, Invoice>, row: Row): void {
  const line = { sku: row.sku, quantity: row.quantity, price: row.price }
  const invoice = sold.get(row.invoice)
  if (invoice === undefined) {
    sold.set(row.invoice, {
      number: row.invoice,
      time: row.time,
      customer: row.customer,
      country: row.country,
      lines: [line],
    })
    return
  }
  invoice.lines.push(line)
  if (row.time < invoice.time) invoice.time = row.time
}

/** What needs whole invoices: their length, whether an earlier file has them, and the file's receipt. */
function closeFile(all: OnlineRetail, sold: Map<string, Invoice>, earlier: ReadonlySet<string>): void {
  const receipt = new Map<string, number>()
  for (const invoice of sold.values()) {
    if (invoice.lines.length > limits.orderLinesMax) {
      all.excluded.invoice_too_long += invoice.lines.length
      all.tooLong.push(invoice.number)
      continue
    }
    for (const { sku, quantity } of invoice.lines) receipt.set(sku, (receipt.get(sku) ?? 0) + quantity)
    if (earlier.has(invoice.number)) all.excluded.in_earlier_file += invoice.lines.length
    else all.invoices.set(invoice.number, invoice)
  }
  all.receipts.push(receipt)
}

/** The columns we use, by each name under which they were published. */
const columns = {
  invoice: ['Invoice', 'InvoiceNo'],
  sku: ['StockCode'],
  quantity: ['Quantity'],
  time: ['InvoiceDate'],
  price: ['Price', 'UnitPrice'],
  customer: ['Customer ID', 'CustomerID'],
  country: ['Country'],
} as const
type Places = Record<keyof typeof columns, number> & { width: number }

/** The file's lines in order; undefined for one that cannot be read. */
async function* readRows(path: string): AsyncGenerator<Row | undefined> {
  const file = createReadStream(path)
  const text = path.endsWith('.gz') ? file.pipe(createGunzip()) : file
  const records = text.pipe(parse({ bom: true, relax_column_count: true, skip_empty_lines: true }))
  if (text !== file) file.on('error', (error) => text.destroy(error))
  text.on('error', (error) => records.destroy(error))
  let places: Places | undefined
  try {
    for await (const record of records as AsyncIterable<string[]>) {
      if (places === undefined) places = placesOf(record, path)
      else yield rowOf(record, places)
    }
  } catch (error) {
    if (error instanceof FileUnreadable) throw error
    throw new FileUnreadable(`${path}: ${(error as Error).message}`)
  }
  if (places === undefined) throw new FileUnreadable(`${path}: the file is empty`)
}

function placesOf(header: string[], path: string): Places {
  const place = (names: readonly string[]) => {
    const at = header.findIndex((name) => names.includes(name.trim()))
    if (at === -1) throw new FileUnreadable(`${path}: the header has no column ${names.join(' or ')}`)
    return at
  }
  return {
    invoice: place(columns.invoice),
    sku: place(columns.sku),
    quantity: place(columns.quantity),
    time: place(columns.time),
    price: place(columns.price),
    customer: place(columns.customer),
    country: place(columns.country),
    width: header.length,
  }
}

function rowOf(record: string[], places: Places): Row | undefined {
  if (record.length !== places.width) return undefined
  const invoice = record[places.invoice]!.trim()
  const sku = record[places.sku]!
  const quantityText = record[places.quantity]!
  const time = record[places.time]!
  const price = parsePrice(record[places.price]!)
  if (invoice === '' || !isSku(sku) || !/^-?\d{1,12}$/.test(quantityText) || price === undefined || !isLocalTime(time))
    return undefined
  return {
    invoice,
    sku,
    quantity: Number(quantityText),
    time,
    price,
    customer: record[places.customer]!.replace(/\.0$/, ''), // some copies print the number as 17850.0
    country: record[places.country]!.trim(),
  }
}

const isSku = (text: string): boolean =>
  text.length >= 1 && text.length <= limits.skuCharactersMax && !/\p{Cc}/u.test(text)
