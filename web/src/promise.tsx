// The promise line: what came in is where it should be, in one equation over all cells.
import { Fragment } from 'react'
import { formatCount } from './formats.ts'
import { Icon } from './icons.tsx'
import { auditsOf } from './live.ts'
import { Ago, Failure, Missing } from './parts.tsx'
import { type PromiseLine as Line, promiseLine } from './promise-line.ts'
import { useLive, useSession } from './session.tsx'

type Term = { sign: string; value: string; name: string; help: string; note?: string | undefined }

const termsOf = (line: Line): Term[] => [
  { sign: '', value: formatCount(line.received), name: 'received', help: 'Units that came into any warehouse' },
  {
    sign: '+',
    value: formatCount(line.returned),
    name: 'returned',
    help: 'Units that buyers sent back, fit to be sold',
  },
  {
    sign: line.corrections < 0 ? '−' : '+',
    value: formatCount(Math.abs(line.corrections)),
    name: 'corrected',
    help: 'Counted, damaged, lost and corrected by hand',
  },
  {
    sign: '=',
    value: formatCount(line.onHand),
    name: 'on hand',
    help: 'Units in the cells, sold but not shipped ones too',
    note: line.sold > 0 ? `${formatCount(line.sold)} sold, to be shipped` : undefined,
  },
  {
    sign: line.inFlight < 0 ? '−' : '+',
    value: formatCount(Math.abs(line.inFlight)),
    name: 'in flight',
    help: 'Sent by one cell and not yet received by another, or moved between two audits',
  },
  { sign: '+', value: formatCount(line.shipped), name: 'shipped', help: 'Units that left for buyers' },
]

export function PromiseLine() {
  const { cells, now } = useLive()
  const { scopes } = useSession()
  const line = promiseLine(auditsOf({ cells }))
  const refusal = cells.find((cell) => cell.refusal !== null)?.refusal
  const silent = cells.filter(({ reach }) => reach === 'silent').map(({ cell }) => cell.name)
  return (
    <section className="panel promise" aria-labelledby="promise-title">
      <h2 id="promise-title" className="visually-hidden">
        The promise
      </h2>
      {line ? <Equation line={line} /> : <Waiting canRead={scopes.has('cells:read')} refusal={refusal} />}
      <Verdict line={line} now={now} silent={silent} />
    </section>
  )
}

function Waiting({ canRead, refusal }: { canRead: boolean; refusal: unknown }) {
  if (!canRead) return <p className="promise-waiting">This key may not read pulses: it needs the scope cells:read.</p>
  if (refusal) return <Failure error={refusal} />
  return <p className="promise-waiting">The first audit is on its way.</p>
}

function Equation({ line }: { line: Line }) {
  return (
    <p className="equation">
      {termsOf(line).map(({ sign, value, name, help, note }) => (
        <Fragment key={name}>
          {sign && <span className={sign === '=' ? 'sign sign-equal' : 'sign'}>{sign}</span>}
          <span className="term" title={help}>
            <b>{value}</b>
            <span>{name}</span>
            {note && <span className="term-note">{note}</span>}
          </span>
        </Fragment>
      ))}
    </p>
  )
}

function Verdict({ line, now, silent }: { line: Line | null; now: number; silent: string[] }) {
  const faults: [string, number][] = [
    ['oversold', line?.oversold ?? 0],
    ['lost', line?.lost ?? 0],
    ['doubled', line?.doubled ?? 0],
  ]
  return (
    <div className={`verdict ${line === null ? 'verdict-open' : line.holds ? '' : 'verdict-broken'}`}>
      <p className="verdict-word">
        {line && <Icon name={line.holds ? 'check' : 'warning'} size={18} />}
        {line === null ? 'Not audited yet' : verdictOf(line)}
      </p>
      <ul className="faults">
        {faults.map(([name, count]) => (
          <li key={name} className={count === 0 ? '' : 'fault'}>
            <b>{line ? formatCount(count) : '–'}</b> {name}
          </li>
        ))}
      </ul>
      {line && (
        <p className="verdict-time">
          Audited <Ago at={line.oldest} now={now} />
          {silent.length > 0 && `, ${silent.join(', ')} as last heard`}
        </p>
      )}
      {line && line.missing.length > 0 && <Missing cells={line.missing} what="units" />}
    </div>
  )
}

function verdictOf({ holds, differences }: Line): string {
  if (holds) return 'Every unit accounted for'
  return differences > 0 ? `${formatCount(differences)} differences found` : 'The two sides differ'
}
