// One SKU: how many there are, which cell may sell how many of them, and when they will be gone.
import type { StockLevel } from '@holdfast/sdk'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useParams } from 'wouter'
import { useConfirm } from '../dialog.tsx'
import { formatCount, formatRate } from '../formats.ts'
import { Ago, Facts, Failure, Meter, Page, Panel, Skeleton } from '../parts.tsx'
import { useClient } from '../queries.ts'
import { sellOutWords } from '../sell-out.ts'
import { useLive, useSession } from '../session.tsx'
import { askedToAdjust } from '../stock-dialogs.tsx'

const everyMs = 1000

export function SkuPage() {
  const { scopes } = useSession()
  const sku = decodeURIComponent(useParams<{ sku: string }>().sku)
  const client = useClient()
  const queries = useQueryClient()
  const { ask, dialog } = useConfirm()
  const level = useQuery({ queryKey: ['sku', sku], queryFn: () => client.stock.get(sku), refetchInterval: everyMs })
  const adjust = () => {
    const asked = askedToAdjust(client, sku)
    ask({
      ...asked,
      run: async (intent) => {
        await asked.run(intent)
        await queries.invalidateQueries({ queryKey: ['sku', sku] })
      },
    })
  }
  return (
    <Page
      title={sku}
      aside={
        scopes.has('stock:write') && (
          <button type="button" className="button" onClick={adjust}>
            Adjust
          </button>
        )
      }
    >
      {level.isPending ? (
        <section className="panel" aria-label="Stock">
          <Skeleton rows={6} />
        </section>
      ) : level.data ? (
        <Shown level={level.data} />
      ) : (
        <section className="panel" aria-label="Stock">
          <Failure error={level.error} onRetry={() => void level.refetch()} />
        </section>
      )}
      {dialog}
    </Page>
  )
}

function Shown({ level }: { level: StockLevel }) {
  const { live } = useSession()
  const { now } = useLive()
  const sale = live.sales.of(level.sku, now)
  const rate = sale?.unitsPerSecond ?? 0
  return (
    <div className="columns">
      <div>
        <Panel title="Cells" note="which cell may sell how many">
          <Allotments level={level} now={now} byCell={sale?.byCell ?? {}} />
        </Panel>
        <Panel title="Locations">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Location</th>
                <th scope="col" className="number">
                  On hand
                </th>
                <th scope="col" className="number">
                  Available
                </th>
              </tr>
            </thead>
            <tbody>
              {level.locations.map(({ location, on_hand, available }) => (
                <tr key={location}>
                  <th scope="row" className="grow">
                    {location}
                  </th>
                  <td className="number">{formatCount(on_hand)}</td>
                  <td className="number">{formatCount(available)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Panel>
      </div>
      <Panel title="Sum of all cells">
        <div className="panel-body">
          <Facts
            of={[
              ['Available', <b key="available">{formatCount(level.available)}</b>],
              ['On hand', formatCount(level.on_hand)],
              ['Reserved', formatCount(level.reserved)],
              ['Committed', formatCount(level.committed)],
              ['In flight', formatCount(level.in_flight)],
              ['Short', formatCount(level.short)],
              ['May be oversold by', formatCount(level.allowance)],
              ['Counted', level.tracking === 'counted' ? 'yes' : 'no, as many as are asked for'],
              ['Sold per second', rate > 0 ? formatRate(rate) : '–'],
              ['Sold out', sellOutWords(level.available, rate)],
            ]}
          />
        </div>
      </Panel>
    </div>
  )
}

type AllotmentProps = { level: StockLevel; now: number; byCell: Record<string, number> }

function Allotments({ level, now, byCell }: AllotmentProps) {
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">Cell</th>
          <th scope="col" className="wide-only">
            <span className="visually-hidden">Part of what is available</span>
          </th>
          <th scope="col" className="number">
            Available
          </th>
          <th scope="col" className="number wide-only">
            Reserved
          </th>
          <th scope="col" className="number wide-only">
            Committed
          </th>
          <th scope="col" className="number">
            Sold/s
          </th>
          <th scope="col" className="number">
            As of
          </th>
        </tr>
      </thead>
      <tbody>
        {level.cells.map(({ cell, available, reserved, committed, as_of }) => (
          <tr key={cell}>
            <th scope="row">{cell}</th>
            <td className="grow wide-only">
              <Meter
                label={`${cell} of what is available`}
                value={available}
                max={Math.max(level.available, 1)}
                isShare
              />
            </td>
            <td className="number">{formatCount(available)}</td>
            <td className="number wide-only">{formatCount(reserved)}</td>
            <td className="number wide-only">{formatCount(committed)}</td>
            <td className="number">{byCell[cell] ? formatRate(byCell[cell]) : '–'}</td>
            <td className="number soft">
              <Ago at={as_of} now={now} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
