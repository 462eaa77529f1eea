// The cells in numbers, one a row.
import { formatCount, formatMs, formatRate } from './formats.ts'
import type { CellLive } from './live.ts'
import { State } from './parts.tsx'
import { useLive } from './session.tsx'

export const stateOf = ({ reach, pulse, refusal }: CellLive): string => {
  if (refusal) return 'refuses_this_key'
  if (reach === 'waiting') return 'connecting'
  if (reach === 'silent' || !pulse) return 'not_reachable'
  if (pulse.frozen) return 'frozen'
  if (pulse.cut_off) return 'cut_off'
  return pulse.gate === 'shut' ? 'standby_lost' : pulse.state
}

export function CellTable() {
  const { cells } = useLive()
  return (
    <table className="table cell-table">
      <thead>
        <tr>
          <th scope="col">Cell</th>
          <th scope="col">State</th>
          <th scope="col" className="number">
            Orders/s
          </th>
          <th scope="col" className="number">
            p50
          </th>
          <th scope="col" className="number">
            p99
          </th>
          <th scope="col" className="number wide-only">
            Errors/s
          </th>
          <th scope="col" className="number wide-only">
            Queue
          </th>
          <th scope="col" className="number wide-only">
            Units sent/s
          </th>
        </tr>
      </thead>
      <tbody>
        {cells.map((live) => (
          <Row key={live.cell.name} live={live} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ live }: { live: CellLive }) {
  const pulse = live.reach === 'live' ? live.pulse : null
  const sent = pulse?.peers.reduce((sum, { units_per_s_sent }) => sum + units_per_s_sent, 0) ?? 0
  const shown = (value: string | undefined): string => value ?? '–'
  const ms = (value: number | null | undefined): string => (value == null ? '–' : formatMs(value))
  return (
    <tr>
      <th scope="row">{live.cell.name}</th>
      <td>
        <State of={stateOf(live)} />
      </td>
      <td className="number">{shown(pulse ? formatRate(pulse.orders_per_s) : undefined)}</td>
      <td className="number">{ms(pulse?.latency_ms.p50)}</td>
      <td className="number">{ms(pulse?.latency_ms.p99)}</td>
      <td className="number wide-only">{shown(pulse ? formatRate(pulse.errors_per_s) : undefined)}</td>
      <td className="number wide-only">{shown(pulse ? formatCount(pulse.queue.rows) : undefined)}</td>
      <td className="number wide-only">{shown(pulse ? formatRate(sent) : undefined)}</td>
    </tr>
  )
}
