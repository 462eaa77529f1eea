// What was given up, in every cell: why, and whether to try it again or to let it go, which is for good and wants a reason.
import type { DeadLetter } from '@holdfast/sdk'
import { useQueryClient } from '@tanstack/react-query'
import { Link, useSearchParams } from 'wouter'
import { useConfirm } from '../dialog.tsx'
import { capitalized, formatCount, inWords } from '../formats.ts'
import { Empty, Field, Found, Page, Panel, Time } from '../parts.tsx'
import { useClients, useMergedList } from '../queries.ts'
import { useSession } from '../session.tsx'

const kinds = ['payment_operation', 'webhook_delivery', 'consumer_event'] as const

/** Each cell lists them kind after kind; within one, those that were given up first. */
const isBefore = (one: DeadLetter, other: DeadLetter): boolean =>
  one.kind === other.kind ? one.since < other.since : kinds.indexOf(one.kind) < kinds.indexOf(other.kind)

export function DeadLetters() {
  const [search, setSearch] = useSearchParams()
  const kind = kinds.find((one) => one === search.get('kind'))
  const letters = useMergedList<DeadLetter>({
    name: ['dead-letters', kind],
    read: (client, page) => client.deadLetters.list({ ...page, ...(kind ? { kind } : {}) }),
    before: isBefore,
  })
  return (
    <Page
      title="Dead letters"
      aside={
        <button type="button" className="button" onClick={letters.refetch}>
          Refresh
        </button>
      }
    >
      <search aria-label="Dead letters">
        <form className="filters">
          <Field label="Kind">
            {(id) => (
              <select
                id={id}
                value={kind ?? ''}
                onChange={({ target }) => setSearch(target.value === '' ? {} : { kind: target.value })}
              >
                <option value="">All</option>
                {kinds.map((one) => (
                  <option key={one} value={one}>
                    {inWords(one)}
                  </option>
                ))}
              </select>
            )}
          </Field>
        </form>
      </search>
      <Panel
        title="Given up"
        note={
          letters.items.length > 0
            ? `${formatCount(letters.items.length)}${letters.hasMore ? ' so far' : ''}`
            : undefined
        }
      >
        <Found
          of={letters}
          what="dead letters"
          isEmpty={letters.items.length === 0}
          rows={4}
          height={72}
          empty={
            <Empty title="Nothing was given up">
              What fails is tried again by itself for hours; only what still fails then comes here.
            </Empty>
          }
        >
          <Letters letters={letters.items} />
        </Found>
        {letters.hasMore && (
          <div className="rows-foot">
            <button
              type="button"
              className="button button-small"
              onClick={letters.loadMore}
              disabled={letters.isLoadingMore}
            >
              {letters.isLoadingMore ? 'Loading…' : 'More'}
            </button>
          </div>
        )}
      </Panel>
      <Dropped />
    </Page>
  )
}

function Letters({ letters }: { letters: readonly { cell: string; item: DeadLetter }[] }) {
  const { scopes } = useSession()
  const clientOf = useClients()
  const queries = useQueryClient()
  const { ask, dialog } = useConfirm()
  const renew = () =>
    Promise.all(['dead-letters', 'dropped'].map((name) => queries.invalidateQueries({ queryKey: [name] })))
  const retry = (cell: string, { id }: DeadLetter) =>
    ask({
      title: 'Try it again?',
      text: 'It is tried soon, as often as something new would be.',
      verb: 'Try again',
      done: 'It will be tried again',
      cell,
      run: async ({ key }) => {
        await clientOf(cell).deadLetters.retry(id, { idempotencyKey: key })
        await renew()
      },
    })
  const drop = (cell: string, { id }: DeadLetter) =>
    ask({
      title: 'Drop it for good?',
      text: 'It is never tried again. Who dropped it, and why, is kept.',
      verb: 'Drop',
      isHarmful: true,
      done: 'Dropped',
      cell,
      fields: <Field label="Reason">{(field) => <input id={field} name="reason" required maxLength={500} />}</Field>,
      run: async ({ form }) => {
        await clientOf(cell).deadLetters.drop(id, String(form.get('reason')).trim())
        await renew()
      },
    })
  return (
    <>
      <ul>
        {letters.map(({ cell, item }) => (
          <li key={item.id} className="part">
            <div className="part-head">
              <b>{capitalized(inWords(item.kind))}</b>
              <span className="soft">{cell}</span>
              {item.order_id && <Link href={`/orders/${item.order_id}`}>…{item.order_id.slice(-10)}</Link>}
              <span className="soft">
                <Time at={item.since} style="day" />
              </span>
            </div>
            <p>{item.reason}</p>
            <details>
              <summary>{`${formatCount(item.tries)} tries; what it is`}</summary>
              <pre className="data">{JSON.stringify(item.data, null, 2)}</pre>
            </details>
            {scopes.has('dead-letters:write') && (
              <div className="part-actions">
                <button type="button" className="button button-small" data-row="" onClick={() => retry(cell, item)}>
                  Try again
                </button>
                <button type="button" className="button button-small" onClick={() => drop(cell, item)}>
                  Drop
                </button>
                {item.retry_asked_at && <span className="soft">asked for already</span>}
              </div>
            )}
          </li>
        ))}
      </ul>
      {dialog}
    </>
  )
}

function Dropped() {
  const dropped = useMergedList({
    name: ['dropped'],
    read: (client, page) => client.deadLetters.dropped(page),
    before: (one, other) => one.dropped_at > other.dropped_at,
  })
  if (dropped.items.length === 0) return null
  return (
    <Panel title="Dropped" note="newest first">
      <ul>
        {dropped.items.map(({ cell, item }) => (
          <li key={item.id} className="part">
            <div className="part-head">
              <b>{capitalized(inWords(item.kind))}</b>
              <span className="soft">{cell}</span>
              <span className="soft">
                <Time at={item.dropped_at} style="day" />
              </span>
            </div>
            <p>
              {item.drop_reason} <span className="soft">{item.reason}</span>
            </p>
          </li>
        ))}
      </ul>
    </Panel>
  )
}
