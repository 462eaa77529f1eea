// Each cell as a machine: what it has to do and how far behind it is, how it hears the others, what it is made of.
import type { Pulse } from '@holdfast/sdk'
import { stateOf } from '../cell-table.tsx'
import { formatBytes, formatCount, formatDuration, formatMs, formatRate } from '../formats.ts'
import type { CellLive } from '../live.ts'
import { Objectives } from '../objectives.tsx'
import { Ago, Empty, Facts, Failure, Meter, Page, Panel, Skeleton, State } from '../parts.tsx'
import { useLive } from '../session.tsx'
import { SlowQueryPanel } from '../slow-queries.tsx'

export function Health() {
  const { cells, now } = useLive()
  return (
    <Page title="Health">
      <Objectives />
      <div className="health-grid">
        {cells.map((live) => (
          <CellHealth key={live.cell.name} live={live} now={now} />
        ))}
      </div>
      <Panel title="Consumers" note="how far each is behind the log that it reads, by cell">
        <Lags cells={cells} />
      </Panel>
      <Panel title="Between cells">
        <Peers cells={cells} />
      </Panel>
      <SlowQueryPanel />
    </Page>
  )
}

function CellHealth({ live, now }: { live: CellLive; now: number }) {
  const { cell, reach, heardAt, pulse, refusal } = live
  const note =
    reach === 'silent' && heardAt !== null ? (
      <>
        last heard <Ago at={heardAt} now={now} />
      </>
    ) : (
      cell.region
    )
  return (
    <Panel title={cell.name} note={note} actions={<State of={stateOf(live)} />}>
      {pulse ? (
        <div className={`panel-body ${reach === 'silent' ? 'stale' : ''}`}>
          <Facts of={factsOf(pulse)} />
        </div>
      ) : refusal ? (
        <Failure error={refusal} />
      ) : reach === 'waiting' ? (
        <Skeleton rows={6} height={28} />
      ) : (
        <Empty title="Never heard">
          It has not answered since this page is open. Look at its process, then at the network between.
        </Empty>
      )}
    </Panel>
  )
}

function factsOf(pulse: Pulse): [string, React.ReactNode][] {
  const { queue } = pulse
  return [
    [
      'Queue',
      <span key="queue" className="with-meter">
        {`${formatCount(queue.rows)} of ${formatCount(queue.rows_max)} rows`}
        <Meter label="Queue" value={queue.rows} max={queue.rows_max} />
      </span>,
    ],
    ['Requests', `${formatRate(pulse.requests_per_s)}/s, ${formatRate(pulse.errors_per_s)} errors`],
    ['Event loop, p99', formatMs(pulse.event_loop_p99_ms)],
    ['Memory', formatBytes(pulse.memory_bytes)],
    ['Dead letters', formatCount(pulse.dead_letters)],
    ['Standby', pulse.gate === 'none' ? 'none' : pulse.gate === 'open' ? 'has everything' : 'out of reach'],
    ['Up for', formatDuration(pulse.uptime_s)],
    ['Version', pulse.version],
  ]
}

function Lags({ cells }: { cells: readonly CellLive[] }) {
  const names = [...new Set(cells.flatMap(({ pulse }) => pulse?.lags.map(({ consumer }) => consumer) ?? []))].sort()
  if (names.length === 0) return <Empty title="No consumer was heard of yet" />
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">Consumer</th>
          {cells.map(({ cell }) => (
            <th key={cell.name} scope="col" className="number">
              {cell.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((name) => (
          <tr key={name}>
            <th scope="row" className="grow">
              {name}
            </th>
            {cells.map(({ cell, pulse }) => (
              <td key={cell.name} className="number">
                {lagWords(pulse?.lags.find(({ consumer }) => consumer === name))}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** An instant behind is not behind: the log is read a moment after it is written. */
function lagWords(lag: Pulse['lags'][number] | undefined): string {
  if (!lag) return '–'
  return lag.seconds <= 1 ? 'up to date' : `${formatCount(lag.events)} events, ${formatDuration(lag.seconds)}`
}

function Peers({ cells }: { cells: readonly CellLive[] }) {
  const rows = cells.flatMap(({ cell, reach, pulse }) =>
    reach === 'live' && pulse ? pulse.peers.map((peer) => ({ from: cell.name, ...peer })) : [],
  )
  if (rows.length === 0) return <Empty title="One cell alone">There is no other to be heard.</Empty>
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">From, to</th>
          <th scope="col">Hears it</th>
          <th scope="col" className="number">
            There and back
          </th>
          <th scope="col" className="number wide-only">
            Units/s
          </th>
          <th scope="col" className="number wide-only">
            Requests/s
          </th>
          <th scope="col" className="number wide-only">
            Oldest unconfirmed
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={`${row.from} ${row.cell}`}>
            <th scope="row" className="grow">{`${row.from} → ${row.cell}`}</th>
            <td>
              <State of={row.reachable ? 'yes' : 'no'} tone={row.reachable ? 'good' : 'bad'} />
            </td>
            <td className="number">{row.round_trip_ms === null ? '–' : formatMs(row.round_trip_ms)}</td>
            <td className="number wide-only">{formatRate(row.units_per_s_sent)}</td>
            <td className="number wide-only">{formatRate(row.requests_per_s_sent)}</td>
            <td className="number wide-only">
              {row.oldest_unconfirmed_s === null ? '–' : formatDuration(row.oldest_unconfirmed_s)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
