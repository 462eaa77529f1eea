// What is promised of the service, and how much of it the cells have kept since their processes began. What was before that only
// Prometheus knows, and so do its alerts.
import type { ObjectiveList } from '@holdfast/sdk'
import { type Kept, type ObjectiveOfCells, objectivesOf } from './error-budgets.ts'
import { formatCount, formatDuration, formatRate, formatShare } from './formats.ts'
import { Empty, Found, Panel } from './parts.tsx'
import { useOfCells } from './queries.ts'
import { useLive } from './session.tsx'

const everyMs = 5000

export function Objectives() {
  const { now } = useLive()
  const found = useOfCells(['objectives'], (client) => client.objectives(), everyMs)
  const objectives = objectivesOf(found.answers)
  return (
    <Panel title="Objectives" note={sinceWords(found.answers, now)} className="objectives">
      <Found
        of={found}
        what="what was counted"
        isEmpty={objectives.length === 0}
        rows={5}
        empty={<Empty title="Nothing is promised">The cells tell of no objectives.</Empty>}
      >
        <Table objectives={objectives} />
      </Found>
    </Panel>
  )
}

function sinceWords(answers: readonly { cell: string; value: ObjectiveList }[], now: number): string | undefined {
  const ages = answers.flatMap(({ cell, value }) => {
    const since = value.data[0]?.since
    return since ? [`${cell} ${formatDuration((now - Date.parse(since)) / 1000)}`] : []
  })
  return ages.length > 0 ? `counted since each cell’s process began: ${ages.join(', ')}` : undefined
}

function Table({ objectives }: { objectives: readonly ObjectiveOfCells[] }) {
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">Objective</th>
          <th scope="col" className="number wide-only">
            Held to
          </th>
          <th scope="col" className="number">
            Good
          </th>
          <th scope="col" className="number wide-only">
            Of
          </th>
          <th scope="col" className="number" title="Of the bad ones that the target allows among those counted">
            Budget left
          </th>
          <th scope="col" className="number" title="The share of bad ones by that which the target allows">
            Burn rate
          </th>
        </tr>
      </thead>
      <tbody>
        {objectives.map(({ name, title, description, target, window_days, all, byCell }) => (
          <tr key={name} data-objective={name}>
            <th scope="row" className="grow" title={description}>
              {title}
              <span className="objective-cells">{cellsWords(byCell)}</span>
            </th>
            <td className="number wide-only" title={`over ${window_days} days`}>
              {formatShare(target)}
            </td>
            <td className="number">{all.share === null ? '' : formatShare(all.share)}</td>
            <td className="number wide-only">{all.total === 0 ? 'none yet' : formatCount(all.total)}</td>
            <Budget of={all} />
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Budget({ of: { budgetLeft, burnRate } }: { of: Kept }) {
  if (budgetLeft === null || burnRate === null)
    return (
      <>
        <td className="number" />
        <td className="number" />
      </>
    )
  const isSpent = budgetLeft < 0
  return (
    <>
      <td className={isSpent ? 'number spent' : 'number'}>{isSpent ? 'spent' : formatShare(budgetLeft)}</td>
      <td className={isSpent ? 'number spent' : 'number'}>{`${formatRate(burnRate)} ×`}</td>
    </>
  )
}

/** Of the cells in which something was bad; nothing where nothing was. */
function cellsWords(byCell: ObjectiveOfCells['byCell']): string {
  const bad = byCell.filter(({ kept }) => kept.good < kept.total)
  return bad
    .map(({ cell, kept }) => `${cell}: ${formatCount(kept.total - kept.good)} of ${formatCount(kept.total)} bad`)
    .join(', ')
}
