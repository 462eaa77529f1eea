// holdfast replay: sells a published year of real orders again, on a running server, and shows that every line is there.
import { parseArgs } from 'node:util'
import { createClient } from '@holdfast/sdk'
import { CommandFailure, usage } from './failure.ts'
import { startProgress } from './progress.ts'
import { formatPennies, formatPrice, lineAmount } from './replay-amount.ts'
import { type Carried, carryOrders } from './replay-carry.ts'
import { type CreditMatch, matchCredits } from './replay-credits.ts'
import { type LedgerSums, readLedger } from './replay-ledger.ts'
import { FileUnreadable, type OnlineRetail, type Rule, readOnlineRetail, rules } from './replay-online-retail.ts'
import { noSums, receiveStock, type Sold, type Sums, sellInvoices } from './replay-orders.ts'
import { countryCode } from './replay-place.ts'
import { formatTable } from './table.ts'

const concurrencyMax = 16
const carriedAtOnce = 32

export const replayHelp = `Usage: holdfast replay --format online-retail FILE… --url URL --key KEY [--concurrency 2] [--json]

Sells the invoices of the UCI Online Retail files (sets 352 and 502; .csv or .csv.gz) on a running server: what they
sell is received first, then each invoice is an order with its own time, customer, country and reference. The key must
have the scopes import, ledger:read and audit:read. Then each order is carried to its end: units that a credit note gives
back on the day of their sale are cancelled, the rest is shipped, and units given back later are returned and refunded.
Running it again changes nothing. Of files that overlap, the first one given has an invoice.

  --concurrency N   batches of orders on their way at once, 1–${concurrencyMax}
  --json            the last line of standard output is one JSON object

Lines that are not sold are counted, each under the first rule that fits:
${Object.entries(rules)
  .map(([rule, meaning]) => `  ${rule.padEnd(22)}  ${meaning}`)
  .join('\n')}`

type FileSums = Sums & { unrounded: bigint }

/** Answers the exit code: 1 when an invoice has no order, or when the server's sums are not the file's. */
export async function replay(args: string[]): Promise<number> {
  const options = readOptions(args)
  const file = await readFiles(options.files)
  const client = createClient({ url: options.url, key: options.key })

  const units = [...file.receipts].reduce((sum, receipt) => sum + [...receipt.values()].reduce((a, b) => a + b, 0), 0)
  const receiving = startProgress('units', { total: units })
  await receiveStock(client, file.receipts, receiving.set)
  receiving.end()

  const selling = startProgress('orders', { total: file.invoices.size })
  const startedAt = performance.now()
  const sold = await sellInvoices(client, file.invoices, { concurrency: options.concurrency, onOrders: selling.set })
  const seconds = (performance.now() - startedAt) / 1000
  selling.end()

  const sums = sumOf(file)
  const credits = matchCredits(file.invoices.values(), file.credits)
  const carrying = startProgress('orders carried', { total: sold.ids.size })
  const carried = await carryOrders(client, file.invoices, sold.ids, credits.found, {
    concurrency: carriedAtOnce,
    onOrders: carrying.set,
  })
  carrying.end()
  const ledger = await readLedger(client)
  printReport(file, sums, sold, credits)
  printEnd(carried, ledger)
  if (options.json) console.log(JSON.stringify({ ...jsonOf(file, sums, sold, credits, seconds), carried, ledger }))
  return isComplete(file, sums, sold) && isCarried(carried, credits) && ledger.consistent ? 0 : 1
}

function readOptions(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      format: { type: 'string' },
      url: { type: 'string' },
      key: { type: 'string' },
      concurrency: { type: 'string', default: '2' },
      json: { type: 'boolean', default: false },
    },
  })
  const { format, url, key, json } = values
  if (format !== 'online-retail')
    throw usage(`--format must be online-retail, the only one there is${format ? `, not ${format}` : ''}.`)
  if (!url || !URL.canParse(url))
    throw usage('--url must be the address of a running server, such as http://127.0.0.1:8080.')
  if (!key) throw usage('--key is missing: the development profile accepts sk_dev.')
  if (positionals.length === 0) throw usage('Name at least one file.')
  const concurrency = Number(values.concurrency)
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > concurrencyMax)
    throw usage(`--concurrency must be 1 to ${concurrencyMax}.`)
  return { files: positionals, url, key, json, concurrency }
}

async function readFiles(paths: string[]): Promise<OnlineRetail> {
  const reading = startProgress('lines')
  try {
    const file = await readOnlineRetail(paths, reading.set)
    reading.end()
    for (const number of file.tooLong)
      console.error(`Invoice ${number} has more lines than an order can hold; it is left out.`)
    return file
  } catch (error) {
    if (error instanceof FileUnreadable) throw new CommandFailure('file_unreadable', error.message)
    throw error
  }
}

/** What the file itself says, by the same rules and rounding. */
function sumOf(file: OnlineRetail): FileSums {
  const sums: FileSums = { ...noSums(), orders: file.invoices.size, unrounded: 0n }
  for (const { lines } of file.invoices.values()) {
    for (const { quantity, price } of lines) {
      sums.lines++
      sums.units += quantity
      sums.pennies += lineAmount(price, quantity)
      sums.unrounded += price * BigInt(quantity)
    }
  }
  return sums
}

const isComplete = (file: OnlineRetail, sums: FileSums, sold: Sold): boolean =>
  file.tooLong.length === 0 &&
  sold.orders === sums.orders &&
  sold.lines === sums.lines &&
  sold.units === sums.units &&
  sold.pennies === sums.pennies

/** Every order has ended, and all units that a credit note could be matched to have gone back. */
const isCarried = ({ open, units }: Carried, credits: CreditMatch): boolean =>
  open === 0 && units.cancelled + units.returned === credits.units.matched

const count = (value: number): string => value.toLocaleString('en')
const right = (head: string) => ({ head, align: 'right' as const })

function printReport(file: OnlineRetail, sums: FileSums, sold: Sold, credits: CreditMatch): void {
  const cells = (name: string, code: string, one: Sums) => [
    name,
    code,
    count(one.orders),
    count(one.lines),
    count(one.units),
    formatPennies(one.pennies),
  ]
  const countries = [...sold.byCountry].sort(([, a], [, b]) => b.pennies - a.pennies)
  const heads = [{ head: 'Country' }, { head: 'Code' }, right('Orders'), right('Lines'), right('Units'), right('GBP')]
  const rows = countries.map(([name, one]) => cells(name, countryCode(name) ?? '-', one))
  console.log(formatTable(heads, [...rows, cells('All orders', '', sold), cells('The file', '', sums)]))
  console.log(`\nThe file's sum before rounding each line: GBP ${formatPrice(sums.unrounded)}`)
  console.log(`Orders: ${count(sold.created)} created, ${count(sold.replayed)} were there already.`)
  for (const [code, refused] of Object.entries(sold.refused))
    console.log(`Refused: ${count(refused)} orders with ${code}.`)
  console.log(`\nOf ${count(file.rows)} lines, ${count(file.rows - sums.lines)} are no sales:`)
  const excluded = (Object.entries(file.excluded) as [Rule, number][]).filter(([, lines]) => lines > 0)
  console.log(
    formatTable(
      [{ head: 'Rule' }, right('Lines'), { head: 'Meaning' }],
      excluded.map(([rule, lines]) => [rule, count(lines), rules[rule]]),
    ),
  )
  console.log(
    `\nCredit lines whose units were all sold earlier to the same customer at the same price: ${count(credits.matched)}; ` +
      `others: ${count(credits.unmatched)} (${count(credits.partly)} of them in part).`,
  )
}

function printEnd(carried: Carried, ledger: LedgerSums): void {
  const { units, refundedPennies } = carried
  console.log(
    `\nOrders carried to their end: ${count(carried.completed)} completed, ${count(carried.cancelled)} cancelled whole, ${count(carried.open)} open. ` +
      `Units: ${count(units.cancelled)} cancelled, ${count(units.returned)} returned; GBP ${formatPennies(refundedPennies)} refunded.`,
  )
  console.log(
    `The shop's ledger: GBP ${formatPennies(ledger.captured)} captured, ${formatPennies(ledger.refunded)} refunded, ` +
      `${formatPennies(ledger.sales)} sold, ${formatPennies(ledger.receivable)} owed; its audit is ${ledger.consistent ? 'consistent' : 'NOT consistent'}.`,
  )
}

function jsonOf(file: OnlineRetail, sums: FileSums, sold: Sold, credits: CreditMatch, seconds: number) {
  const money = (pennies: number) => ({ amount: pennies, currency: 'GBP' })
  const told = ({ orders, lines, units, pennies }: Sums) => ({ orders, lines, units, amount: money(pennies) })
  return {
    invoices: file.invoices.size,
    orders: sold.orders,
    created: sold.created,
    replayed: sold.replayed,
    refused: sold.refused,
    lines: sold.lines,
    units: sold.units,
    amount: money(sold.pennies),
    file: {
      rows: file.rows,
      lines: sums.lines,
      units: sums.units,
      amount: money(sums.pennies),
      amount_unrounded: formatPrice(sums.unrounded),
    },
    by_country: Object.fromEntries([...sold.byCountry].map(([name, one]) => [name, told(one)])),
    excluded: file.excluded,
    cancellations: { ...credits, found: undefined },
    orders_per_s: Math.round(sold.orders / seconds),
    seconds: Number(seconds.toFixed(3)),
  }
}
