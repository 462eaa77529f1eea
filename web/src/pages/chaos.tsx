// Faults on purpose, in the development profile: cells are stopped and cut off, the provider is slow or loses answers, a crowd
// buys, and the promises stand above it all.
import type { Chaos, Sale } from '@holdfast/sdk'
import { useQueries, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useEffect, useState } from 'react'
import { announce } from '../announcements.tsx'
import { stateOf } from '../cell-table.tsx'
import { clientOf, readerOf } from '../cells.ts'
import { formatCount } from '../formats.ts'
import { Icon } from '../icons.tsx'
import type { CellLive } from '../live.ts'
import { Empty, Failure, Field, Page, Panel, Skeleton, State } from '../parts.tsx'
import { PromiseLine } from '../promise.tsx'
import { SaleResults } from '../sale-results.tsx'
import { useCells, useLive, useSession } from '../session.tsx'
import { usualSale } from '../start-sale.tsx'
import { WorldMap } from '../world-map.tsx'

const everyMs = 500

export function ChaosPage() {
  const { isDevelopment } = useSession()
  if (!isDevelopment)
    return (
      <Page title="Chaos">
        <Empty title="Not in this profile">Faults are made on purpose in the development profile alone.</Empty>
      </Page>
    )
  return <Controls />
}

type Doing = { what: string; run(): Promise<unknown>; done: string }

function Controls() {
  const { key } = useSession()
  const cells = useCells()
  const queries = useQueryClient()
  const [failure, setFailure] = useState<unknown>(null)
  const [doing, setDoing] = useState<string | null>(null)
  const found = useQueries({
    queries: cells.map((cell) => ({
      queryKey: ['chaos', cell.name],
      queryFn: () => readerOf(cell, key).chaos.read(),
      refetchInterval: everyMs,
    })),
  })
  const byCell = new Map(
    found.flatMap(({ data, error }, at) => (data && !error ? [[cells[at]!.name, data] as const] : [])),
  )
  const sale = newestSale(byCell)
  const act = async ({ what, run, done }: Doing) => {
    setDoing(what)
    setFailure(null)
    try {
      await run()
      announce(done)
    } catch (error) {
      setFailure(error)
    }
    setDoing(null)
    await queries.invalidateQueries({ queryKey: ['chaos'] })
  }
  return (
    <Page title="Chaos">
      <PromiseLine />
      {failure !== null && (
        <section className="panel chaos-failure" aria-label="What went wrong">
          <Failure error={failure} />
        </section>
      )}
      <div className="chaos-grid">
        <SalePanel sale={sale?.sale ?? null} at={sale?.cell} doing={doing} act={act} />
        <Panel title="World" className="map-panel">
          <WorldMap />
        </Panel>
      </div>
      <CellControls
        byCell={byCell}
        isLoading={byCell.size === 0 && found.every(({ isPending }) => isPending)}
        error={byCell.size === 0 ? found.find(({ error }) => error)?.error : null}
        doing={doing}
        act={act}
      />
    </Page>
  )
}

/** Whichever cell was asked for it knows the sale. */
function newestSale(byCell: ReadonlyMap<string, Chaos>): { sale: Sale; cell: string } | undefined {
  const sales = [...byCell].flatMap(([cell, { sale }]) => (sale ? [{ sale, cell }] : []))
  return sales.sort((one, other) => (one.sale.started_at < other.sale.started_at ? 1 : -1))[0]
}

type Act = { doing: string | null; act(doing: Doing): Promise<void> }

function SalePanel({ sale, at, doing, act }: Act & { sale: Sale | null; at: string | undefined }) {
  const { key, live } = useSession()
  const { cells } = useLive()
  const isRunning = sale?.state === 'running'
  useEffect(() => {
    if (!isRunning) return undefined
    live.audits.wish()
    return () => live.audits.wish() // when it is over
  }, [isRunning, live])
  const start = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const cell = cells.find(({ reach }) => reach === 'live')?.cell ?? cells[0]!.cell
    const wanted = { units: Number(form.get('units')), buyers: Number(form.get('buyers')) }
    void act({ what: 'sale', run: () => clientOf(cell, key).chaos.startSale(wanted), done: 'Flash sale started' })
  }
  const stop = () => {
    const cell = cells.find(({ cell: { name } }) => name === at)?.cell ?? cells[0]!.cell
    void act({ what: 'sale', run: () => clientOf(cell, key).chaos.stopSale(), done: 'Flash sale stopped' })
  }
  return (
    <Panel title="Flash sale" note={sale ? <State of={sale.state} /> : undefined} className="sale">
      <form className="sale-form" onSubmit={start}>
        <Field label="Units">
          {(id) => (
            <input id={id} name="units" type="number" min={1} max={100_000} defaultValue={usualSale.units} required />
          )}
        </Field>
        <Field label="Buyers at each cell">
          {(id) => (
            <input id={id} name="buyers" type="number" min={1} max={10_000} defaultValue={usualSale.buyers} required />
          )}
        </Field>
        {isRunning ? (
          <button type="button" className="button" onClick={stop} disabled={doing !== null}>
            Stop
          </button>
        ) : (
          <button type="submit" className="button button-main" disabled={doing !== null}>
            <Icon name="chaos" />
            Start a flash sale
          </button>
        )}
      </form>
      {sale ? (
        <SaleResults sale={sale} />
      ) : (
        <Empty title="No sale yet">
          A new SKU is received once, and a crowd at every cell tries to buy one unit each. No cell can sell a unit that
          another sold.
        </Empty>
      )}
    </Panel>
  )
}

type CellControlsProps = Act & { byCell: ReadonlyMap<string, Chaos>; isLoading: boolean; error: unknown }

function CellControls({ byCell, isLoading, error, doing, act }: CellControlsProps) {
  const { cells } = useLive()
  if (isLoading || error)
    return (
      <Panel title="Cells" note="what is done to each">
        {isLoading ? <Skeleton rows={cells.length} height={80} /> : <Failure error={error} />}
      </Panel>
    )
  return (
    <Panel title="Cells" note="what is done to each">
      <ul className="chaos-cells">
        {cells.map((live) => (
          <CellControl key={live.cell.name} live={live} chaos={byCell.get(live.cell.name)} doing={doing} act={act} />
        ))}
      </ul>
    </Panel>
  )
}

const delays = [0, 200, 1000, 5000]
const losses = [0, 0.1, 0.5, 1]

function CellControl({ live, chaos, doing, act }: Act & { live: CellLive; chaos: Chaos | undefined }) {
  const { key } = useSession()
  const { cells } = useLive()
  const { cell, reach } = live
  const { name } = cell
  const client = clientOf(cell, key)
  const isThere = reach !== 'silent' && chaos !== undefined
  const isCut = chaos?.cut_off ?? live.pulse?.cut_off ?? false
  const other = cells.find((one) => one.cell.name !== name && one.reach === 'live')
  const supervisor = clientOf((other ?? live).cell, key)
  const isIdle = doing === null
  const run = (step: 'stop' | 'start') =>
    act({
      what: name,
      run: () => (step === 'stop' ? supervisor.chaos.stopCell(name) : supervisor.chaos.startCell(name)),
      done: step === 'stop' ? `${name} is being stopped` : `${name} is being started`,
    })
  const cut = () =>
    act({
      what: name,
      run: () => client.chaos.cutOff(!isCut),
      done: isCut ? `${name} hears the others again` : `${name} is cut off`,
    })
  const provide = (change: Partial<Chaos['provider']>) =>
    act({
      what: name,
      run: () => client.chaos.setProvider({ ...chaos!.provider, ...change }),
      done: `The provider of ${name} is changed`,
    })
  return (
    <li className="chaos-cell">
      <div className="chaos-name">
        <b>{name}</b>
        <State of={isThere && isCut ? 'cut_off' : stateOf(live)} />
      </div>
      <div className="chaos-actions">
        <p className="soft">{noteOf(reach, isCut)}</p>
        <div className="part-actions">
          <button
            type="button"
            className="button"
            onClick={cut}
            disabled={!isIdle || !isThere}
            aria-label={isCut ? `Heal ${name}` : `Cut off ${name}`}
          >
            {isCut ? 'Heal' : `Cut off ${name}`}
          </button>
          {reach === 'silent' ? (
            <button type="button" className="button" onClick={() => run('start')} disabled={!isIdle || !other}>
              {`Start ${name}`}
            </button>
          ) : (
            <button
              type="button"
              className="button"
              onClick={() => run('stop')}
              disabled={!isIdle || chaos?.can_stop === false}
              title={chaos?.can_stop === false ? 'It was not started by holdfast start' : undefined}
            >
              {`Stop ${name}`}
            </button>
          )}
        </div>
      </div>
      <Field label={`Provider of ${name} answers after`}>
        {(id) => (
          <select
            id={id}
            value={chaos?.provider.delay_ms ?? 0}
            disabled={!isThere}
            onChange={({ target }) => provide({ delay_ms: Number(target.value) })}
          >
            {withValue(delays, chaos?.provider.delay_ms).map((ms) => (
              <option key={ms} value={ms}>
                {ms === 0 ? 'no delay' : ms < 1000 ? `${ms} ms` : `${ms / 1000} s`}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={`Answers to ${name} that are lost`}>
        {(id) => (
          <select
            id={id}
            value={chaos?.provider.lost_answers ?? 0}
            disabled={!isThere}
            onChange={({ target }) => provide({ lost_answers: Number(target.value) })}
          >
            {withValue(losses, chaos?.provider.lost_answers).map((part) => (
              <option key={part} value={part}>
                {part === 0 ? 'none' : part === 1 ? 'all' : `${formatCount(part * 100)} in 100`}
              </option>
            ))}
          </select>
        )}
      </Field>
    </li>
  )
}

/** What it does to buyers. */
function noteOf(reach: CellLive['reach'], isCut: boolean): string {
  if (reach === 'silent') return 'Nobody can buy here, nor sell its units elsewhere. The others go on with theirs.'
  if (isCut) return 'It sells on, but its own units alone, since it cannot hear what the others do.'
  return 'It sells its units, and gets more from the others before it is out.'
}

const withValue = (choices: readonly number[], value: number | undefined): number[] =>
  [...new Set([...choices, value ?? 0])].sort((one, other) => one - other)
