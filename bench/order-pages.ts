// GET /v1/orders read to its end, by its own cursors and with as many orders a page as it gives: every page is full and in order, and all
// orders are there. Then the first and the last pages in turn, so that what disturbs the machine disturbs both.
import { limits } from '../src/base/limits.ts'
import { CommandFailure } from '../src/cli/failure.ts'
import { grouped } from './bench.ts'
import { median, medianRatio, takeTurns } from './rounds.ts'

const pagesCompared = 50
const ordersPerPage = limits.listLimitMax

export type Paging = {
  firstMs: number
  lastMs: number
  ratio: number
  orders: number
  pages: number
  walkSeconds: number
}

type OrderPage = { data: { id: string }[]; next_cursor: string | null }

/** `url` of a cell with so many orders, all of one shop. */
export async function pageThrough(
  url: string,
  { orders, rounds, say }: { orders: number; rounds: number; say: (line: string) => void },
): Promise<Paging> {
  const startedAt = performance.now()
  const cursors = await walk(url, orders, say)
  const walkSeconds = (performance.now() - startedAt) / 1000
  const full = Math.floor(orders / ordersPerPage) // a last page that is not full is not compared
  const count = Math.min(pagesCompared, full >> 1)
  const timesOf = (some: readonly (string | null)[]) => async () => {
    const times: number[] = []
    for (const cursor of some) {
      const before = performance.now()
      const { data } = await readPage(url, cursor)
      times.push(performance.now() - before)
      if (data.length !== ordersPerPage) throw new CommandFailure('page_not_full', `a page of ${data.length} orders`)
    }
    return median(times)
  }
  const turns = await takeTurns(rounds, {
    first: timesOf(cursors.slice(0, count)),
    last: timesOf(cursors.slice(full - count, full)),
  })
  return {
    firstMs: median(turns.first),
    lastMs: median(turns.last),
    ratio: medianRatio(turns.last, turns.first),
    orders,
    pages: cursors.length,
    walkSeconds,
  }
}

/** The cursor of every page, the first of which has none. */
async function walk(url: string, orders: number, say: (line: string) => void): Promise<(string | null)[]> {
  const cursors: (string | null)[] = []
  let seen = 0
  let oldest: string | undefined
  for (let cursor: string | null = null, isOver = false; !isOver; ) {
    cursors.push(cursor)
    const page = await readPage(url, cursor)
    for (const { id } of page.data) {
      if (oldest !== undefined && id >= oldest) throw new CommandFailure('out_of_order', `${id} came after ${oldest}`)
      oldest = id
    }
    seen += page.data.length
    cursor = page.next_cursor
    isOver = cursor === null || seen > orders
    if (!isOver && page.data.length !== ordersPerPage)
      throw new CommandFailure('page_not_full', `page ${cursors.length} has ${page.data.length} orders`)
    if (cursors.length % 1000 === 0) say(`${grouped(seen)} orders read`)
  }
  if (seen !== orders) throw new CommandFailure('orders_missing', `${seen} orders were read of ${orders}`)
  return cursors
}

async function readPage(url: string, cursor: string | null): Promise<OrderPage> {
  const query = new URLSearchParams({ limit: String(ordersPerPage), ...(cursor !== null && { cursor }) })
  const response = await fetch(`${url}/v1/orders?${query}`, { headers: { authorization: 'Bearer sk_dev' } })
  if (response.status !== 200)
    throw new CommandFailure(
      'unexpected_answer',
      `GET /v1/orders answered ${response.status}: ${await response.text()}`,
    )
  return (await response.json()) as OrderPage
}
