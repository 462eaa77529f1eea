// Stock: the SKUs that moved lately, as the page has seen them, and any other by its name: the API lists no SKUs, since shops have millions.
import type { StockLevel } from '@holdfast/sdk'
import { useQuery } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { Link, useLocation } from 'wouter'
import { useConfirm } from '../dialog.tsx'
import { formatCount, formatRate } from '../formats.ts'
import { Icon } from '../icons.tsx'
import { Empty, Failure, Page, Panel, Skeleton } from '../parts.tsx'
import { useClient, useOfCells } from '../queries.ts'
import type { Sale } from '../sales.ts'
import { sellOutWords } from '../sell-out.ts'
import { useLive, useSession } from '../session.tsx'
import { askedToAdjust } from '../stock-dialogs.tsx'

const shownMax = 100
const recentOrders = 50
const everyMs = 2000

export function Stock() {
  const { scopes } = useSession()
  const [, go] = useLocation()
  const client = useClient()
  const { ask, dialog } = useConfirm()
  const { sales, isLoading, error, refetch } = useSales()
  const skus = sales.map(({ sku }) => sku)
  const sorted = [...skus].sort()
  const levels = useQuery({
    queryKey: ['stock', ...sorted],
    queryFn: async () => (await client.stock.list(sorted)).data,
    enabled: skus.length > 0,
    refetchInterval: everyMs,
    placeholderData: (before) => before,
  })
  const find = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const sku = String(new FormData(event.currentTarget).get('sku')).trim()
    if (sku !== '') go(`/stock/${encodeURIComponent(sku)}`)
  }
  return (
    <Page
      title="Stock"
      aside={
        scopes.has('stock:write') && (
          <button type="button" className="button" onClick={() => ask(askedToAdjust(client, ''))}>
            Adjust
          </button>
        )
      }
    >
      <search aria-label="SKUs">
        <form className="filters" onSubmit={find}>
          <div className="field field-wide">
            <label htmlFor="sku">SKU</label>
            <input
              id="sku"
              name="sku"
              type="search"
              autoComplete="off"
              spellCheck={false}
              placeholder="Its whole name"
              required
            />
          </div>
          <button type="submit" className="button">
            <Icon name="search" size={15} />
            Open
          </button>
        </form>
      </search>
      <Panel title="Moving now" note="what was sold or moved lately, in any cell">
        {skus.length === 0 && isLoading ? (
          <Skeleton rows={4} height={39} />
        ) : skus.length === 0 && error ? (
          <Failure error={error} onRetry={refetch} />
        ) : skus.length === 0 ? (
          <Empty title="Nothing moves">
            Sold and received SKUs show here by themselves. Any other can be opened by its name.
          </Empty>
        ) : levels.isPending ? (
          <Skeleton rows={Math.min(skus.length, 8)} height={39} />
        ) : levels.error ? (
          <Failure error={levels.error} onRetry={() => void levels.refetch()} />
        ) : (
          <SkuTable sales={sales} levels={new Map(levels.data?.map((level) => [level.sku, level]))} />
        )}
      </Panel>
      {dialog}
    </Page>
  )
}

/** As the feed tells, then what the newest orders are of. */
function useSales(): { sales: Sale[]; isLoading: boolean; error: unknown; refetch(): void } {
  const { live, scopes } = useSession()
  const { now } = useLive()
  const mayRead = scopes.has('orders:read')
  const recent = useOfCells(['recent-orders'], async (client) =>
    mayRead ? (await client.orders.list({ limit: recentOrders })).data : [],
  )
  const sales = live.sales.all(now)
  const seen = new Set(sales.map(({ sku }) => sku))
  const others = new Set(
    recent.answers.flatMap(({ value }) => value.flatMap(({ lines }) => lines.map(({ sku }) => sku))),
  )
  const quiet = [...others]
    .filter((sku) => !seen.has(sku))
    .map((sku) => ({ sku, unitsPerSecond: 0, byCell: {}, lastAt: 0 }))
  const { isLoading, error, refetch } = recent
  return { sales: [...sales, ...quiet].slice(0, shownMax), isLoading, error, refetch }
}

function SkuTable({ sales, levels }: { sales: readonly Sale[]; levels: ReadonlyMap<string, StockLevel> }) {
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">SKU</th>
          <th scope="col" className="number">
            Available
          </th>
          <th scope="col" className="number wide-only">
            On hand
          </th>
          <th scope="col" className="number wide-only">
            Reserved
          </th>
          <th scope="col" className="number wide-only">
            Committed
          </th>
          <th scope="col" className="number wide-only">
            In flight
          </th>
          <th scope="col" className="number">
            Sold/s
          </th>
          <th scope="col" className="number">
            Sold out
          </th>
        </tr>
      </thead>
      <tbody>
        {sales.map(({ sku, unitsPerSecond }) => (
          <SkuRow key={sku} sku={sku} rate={unitsPerSecond} level={levels.get(sku)} />
        ))}
      </tbody>
    </table>
  )
}

function SkuRow({ sku, rate, level }: { sku: string; rate: number; level: StockLevel | undefined }) {
  const count = (of: (level: StockLevel) => number): string => (level ? formatCount(of(level)) : '–')
  return (
    <tr>
      <th scope="row" className="grow">
        <Link href={`/stock/${encodeURIComponent(sku)}`} data-row="">
          {sku}
        </Link>
      </th>
      <td className="number">{count(({ available }) => available)}</td>
      <td className="number wide-only">{count(({ on_hand }) => on_hand)}</td>
      <td className="number wide-only">{count(({ reserved }) => reserved)}</td>
      <td className="number wide-only">{count(({ committed }) => committed)}</td>
      <td className="number wide-only">{count(({ in_flight }) => in_flight)}</td>
      <td className="number">{rate > 0 ? formatRate(rate) : '–'}</td>
      <td className="number">{level ? sellOutWords(level.available, rate) : '–'}</td>
    </tr>
  )
}
