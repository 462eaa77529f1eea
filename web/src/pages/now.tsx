// What happens now, in all cells: whether the promises hold, how fast it goes, where, and what it is.
import { useSyncExternalStore } from 'react'
import { CellTable } from '../cell-table.tsx'
import { Feed } from '../feed.tsx'
import { formatMoneyShort, formatMs, formatRate } from '../formats.ts'
import { mainMoney, type Second, secondOf } from '../live.ts'
import { Page, Panel } from '../parts.tsx'
import { PromiseLine } from '../promise.tsx'
import { useLive, useSession } from '../session.tsx'
import { Sparkline } from '../sparkline.tsx'
import { StartSale } from '../start-sale.tsx'
import { WorldMap } from '../world-map.tsx'

export function Now() {
  const { isDevelopment, scopes } = useSession()
  return (
    <Page title="Now" aside={isDevelopment && scopes.has('cells:write') && <StartSale />}>
      <PromiseLine />
      <Numbers />
      <div className="now-grid">
        <Panel title="Cells" className="map-panel">
          <WorldMap />
          <CellTable />
        </Panel>
        <Feed />
      </div>
    </Page>
  )
}

type Tile = {
  name: string
  help: string
  value: string
  note: string
  of: (second: Second) => number | null
  isBad?: boolean
}

function Numbers() {
  const { cells, now } = useLive()
  const { live } = useSession()
  useSyncExternalStore(live.pulses.subscribe, live.pulses.version)
  const seconds = live.seconds.newestFirst().reverse()
  const times = seconds.map(({ at }) => at / 1000)
  const pulses = cells.flatMap(({ reach, pulse }) => (reach === 'live' && pulse ? [pulse] : []))
  // Before the first whole second what was heard so far stands, so that nobody looks at dashes for so long.
  const last = seconds.at(-1) ?? (pulses.length > 0 ? secondOf(pulses, now) : undefined)
  const money = mainMoney(pulses)
  const more = money && money.otherCurrencies > 0 ? `and ${money.otherCurrencies} more currencies` : 'captured'
  const tiles: Tile[] = [
    {
      name: 'Orders per second',
      help: 'Placed in all cells, mean of the last five seconds',
      value: last ? formatRate(last.orders) : '–',
      note: last ? `${formatRate(last.refused)} refused` : '',
      of: ({ orders }) => orders,
    },
    {
      name: 'p50 of placing',
      help: 'Half of all orders are answered within this time; mean of the cells, by their orders',
      value: last?.p50 != null ? formatMs(last.p50) : '–',
      note: 'last 10 s',
      of: ({ p50 }) => p50,
    },
    {
      name: 'p99 of placing',
      help: '99 in 100 orders are answered within this time, in the slowest cell',
      value: last?.p99 != null ? formatMs(last.p99) : '–',
      note: 'slowest cell',
      of: ({ p99 }) => p99,
    },
    {
      name: 'Errors per second',
      help: 'Answers of 500 and above',
      value: last ? formatRate(last.errors) : '–',
      note: last && last.errors === 0 ? 'none' : 'of all requests',
      of: ({ errors }) => errors,
      isBad: true,
    },
    {
      name: 'Money per minute',
      help: 'Captured in the last minute',
      value: money ? formatMoneyShort(money) : '–',
      note: more,
      of: (second) => second.money,
    },
  ]
  return (
    <dl className="tiles">
      {tiles.map(({ name, help, value, note, of, isBad }) => (
        <div className="tile" key={name} title={help}>
          <dt>{name}</dt>
          <dd>
            <b>{value}</b>
            <span>{note}</span>
          </dd>
          <dd className="tile-line">
            <Sparkline times={times} values={seconds.map(of)} tone={isBad ? 'bad' : 'accent'} />
          </dd>
        </div>
      ))}
    </dl>
  )
}
