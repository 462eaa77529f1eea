// Where the databases spend their time: statements that run for long just now, and those that took most of it, of every cell.
import type { SlowQueries } from '@holdfast/sdk'
import { formatCount, formatDuration, formatMs } from './formats.ts'
import { Empty, Found, Panel, State } from './parts.tsx'
import { useOfCells } from './queries.ts'
import { useLive } from './session.tsx'

const everyMs = 5000
const shownMax = 12

type OfCell<T> = T & { cell: string }

export function SlowQueryPanel() {
  const { now } = useLive()
  const found = useOfCells(['slow-queries'], (client) => client.slowQueries(), everyMs)
  const running = found.answers.flatMap(({ cell, value }) => value.running.map((one) => ({ cell, ...one })))
  const sums = found.answers.flatMap(
    ({ cell, value }) => value.costliest?.queries.map((one) => ({ cell, ...one })) ?? [],
  )
  const costliest = sums.sort((one, other) => other.total_seconds - one.total_seconds).slice(0, shownMax)
  const uncounted = found.answers.filter(({ value }) => value.costliest === null).map(({ cell }) => cell)
  const since = Math.min(
    ...found.answers.flatMap(({ value }) => (value.costliest ? [Date.parse(value.costliest.since)] : [])),
  )
  return (
    <Panel
      title="Slow queries"
      note={Number.isFinite(since) ? `counted for ${formatDuration((now - since) / 1000)} at most` : undefined}
      className="slow-queries"
    >
      <Found
        of={found}
        what="queries"
        isEmpty={running.length === 0 && costliest.length === 0 && uncounted.length === 0}
        rows={5}
        empty={<Empty title="Nothing was asked yet">Statements show here once PostgreSQL has run one.</Empty>}
      >
        {running.length > 0 && <Running queries={running} />}
        {costliest.length > 0 && <Costliest queries={costliest} />}
        {uncounted.length > 0 && (
          <Empty title={`${uncounted.join(', ')}: only what runs just now is known`}>
            PostgreSQL counts what statements take if it has pg_stat_statements: put it into shared_preload_libraries,
            start the server anew, and create extension pg_stat_statements.
          </Empty>
        )}
      </Found>
    </Panel>
  )
}

function Running({ queries }: { queries: readonly OfCell<SlowQueries['running'][number]>[] }) {
  return (
    <table className="table">
      <caption className="visually-hidden">Running now</caption>
      <thead>
        <tr>
          <th scope="col">Running now</th>
          <th scope="col">Cell</th>
          <th scope="col" className="wide-only">
            Session
          </th>
          <th scope="col" className="wide-only">
            Waits for
          </th>
          <th scope="col" className="number">
            For
          </th>
        </tr>
      </thead>
      <tbody>
        {queries.map(({ cell, process_id, name, seconds, waits_for, query }) => (
          <tr key={`${cell} ${process_id}`}>
            <Statement text={query} />
            <td>{cell}</td>
            <td className="wide-only">{name || `process ${process_id}`}</td>
            <td className="wide-only">{waits_for ? <State of={waits_for} tone="busy" /> : ''}</td>
            <td className="number">{timeOf(seconds)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Costliest({
  queries,
}: {
  queries: readonly OfCell<NonNullable<SlowQueries['costliest']>['queries'][number]>[]
}) {
  return (
    <table className="table">
      <caption className="visually-hidden">Those that took most time</caption>
      <thead>
        <tr>
          <th scope="col">Took most time</th>
          <th scope="col">Cell</th>
          <th scope="col" className="number wide-only">
            Calls
          </th>
          <th scope="col" className="number wide-only">
            Mean
          </th>
          <th scope="col" className="number wide-only">
            Slowest
          </th>
          <th scope="col" className="number">
            In all
          </th>
        </tr>
      </thead>
      <tbody>
        {queries.map(({ cell, id, query, calls, total_seconds, mean_ms, max_ms }) => (
          <tr key={`${cell} ${id}`}>
            <Statement text={query} />
            <td>{cell}</td>
            <td className="number wide-only">{formatCount(calls)}</td>
            <td className="number wide-only">{formatMs(mean_ms)}</td>
            <td className="number wide-only">{formatMs(max_ms)}</td>
            <td className="number">{timeOf(total_seconds)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

const timeOf = (seconds: number): string => (seconds < 60 ? formatMs(seconds * 1000) : formatDuration(seconds))

function Statement({ text }: { text: string }) {
  return (
    <th scope="row" className="grow statement" title={text}>
      <code>{text}</code>
    </th>
  )
}
