// Money: what every account has come to over all cells, what was given up on the way to a provider, and the entries of an order
// or an account. The API lists payments by order; so one is looked for by its order.
import type { LedgerEntryList } from '@holdfast/sdk'
import { type FormEvent, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { capitalized, formatCount, formatMoney, inWords } from '../formats.ts'
import { Icon } from '../icons.tsx'
import { Empty, Field, Found, Page, Panel, Time } from '../parts.tsx'
import { useMergedList, useOfCells } from '../queries.ts'
import { useSession } from '../session.tsx'

type Entry = LedgerEntryList['data'][number]

export function Payments() {
  const { scopes } = useSession()
  const [, go] = useLocation()
  const find = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const id = String(new FormData(event.currentTarget).get('order')).trim()
    if (id !== '') go(`/orders/${encodeURIComponent(id)}`)
  }
  return (
    <Page title="Payments">
      <search aria-label="Payments of an order">
        <form className="filters" onSubmit={find}>
          <div className="field field-wide">
            <label htmlFor="order">Payments of an order</label>
            <input
              id="order"
              name="order"
              type="search"
              autoComplete="off"
              spellCheck={false}
              placeholder="ord_…"
              required
            />
          </div>
          <button type="submit" className="button">
            <Icon name="search" size={15} />
            Open
          </button>
        </form>
      </search>
      {scopes.has('dead-letters:read') && <GivenUp />}
      {scopes.has('ledger:read') ? (
        <>
          <Balances />
          <Entries />
        </>
      ) : (
        <section className="panel" aria-label="Ledger">
          <Empty title="This key may not read the ledger">It needs the scope ledger:read.</Empty>
        </section>
      )}
    </Page>
  )
}

/** Calls of a provider that were tried as often as they may be. */
function GivenUp() {
  const letters = useOfCells(
    ['given-up'],
    (client) => client.deadLetters.list({ kind: 'payment_operation', limit: 200 }),
    5000,
  )
  const count = letters.answers.reduce((sum, { value }) => sum + value.data.length, 0)
  if (count === 0) return null
  return (
    <p className="missing panel">
      <Icon name="warning" />
      <span>
        {`${formatCount(count)} calls of a provider were given up. `}
        <Link href="/dead-letters?kind=payment_operation">Look at them</Link>
      </span>
    </p>
  )
}

function Balances() {
  const balances = useOfCells(['balances'], (client) => client.ledger.balances(), 5000)
  const sums = new Map<string, { account: string; currency: string; debit: number; credit: number }>()
  for (const { account, currency, debit, credit } of balances.answers.flatMap(({ value }) => value.data)) {
    const name = `${currency} ${account}`
    const sum = sums.get(name) ?? { account, currency, debit: 0, credit: 0 }
    sums.set(name, { ...sum, debit: sum.debit + debit, credit: sum.credit + credit })
  }
  const rows = [...sums].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, sum]) => sum)
  return (
    <Panel title="Balances" note="of all cells, as booked">
      <Found
        of={balances}
        what="balances"
        isEmpty={rows.length === 0}
        rows={4}
        height={39}
        empty={
          <Empty title="Nothing was booked yet">
            Every captured payment is booked twice: where the money is, and what it is for.
          </Empty>
        }
      >
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Account</th>
              <th scope="col" className="number wide-only">
                Debit
              </th>
              <th scope="col" className="number wide-only">
                Credit
              </th>
              <th scope="col" className="number">
                Balance
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ account, currency, debit, credit }) => (
              <tr key={`${account} ${currency}`}>
                <th scope="row" className="grow">
                  {accountWords(account)}
                </th>
                <td className="number wide-only">{formatMoney({ amount: debit, currency })}</td>
                <td className="number wide-only">{formatMoney({ amount: credit, currency })}</td>
                <td className="number">
                  <b>{formatMoney({ amount: debit - credit, currency })}</b>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Found>
    </Panel>
  )
}

const accountWords = (account: string): string => capitalized(inWords(account.replace(':', ': ')))

/** Oldest first in every cell, and so in all. */
const isOlder = (one: Entry, other: Entry): boolean => one.at < other.at

function Entries() {
  const [account, setAccount] = useState('')
  const entries = useMergedList<Entry>({
    name: ['entries', account],
    read: (client, { limit, cursor }) =>
      client.ledger.entries({ limit, ...(cursor ? { after: cursor } : {}), ...(account === '' ? {} : { account }) }),
    before: isOlder,
  })
  const choose = (
    <form
      className="entries-form"
      onSubmit={(event) => {
        event.preventDefault()
        setAccount(String(new FormData(event.currentTarget).get('account')).trim())
      }}
    >
      <Field label="Account">
        {(id) => <input id={id} name="account" type="search" placeholder="sales, receivable, …" autoComplete="off" />}
      </Field>
      <button type="submit" className="button">
        Show
      </button>
    </form>
  )
  return (
    <Panel title="Entries" note="oldest first" actions={choose} className="entries">
      <Found
        of={entries}
        what="entries"
        isEmpty={entries.items.length === 0}
        rows={8}
        height={39}
        empty={<Empty title={account === '' ? 'Nothing was booked yet' : 'Nothing was booked there'} />}
      >
        <EntryTable entries={entries.items} />
      </Found>
      {entries.hasMore && (
        <div className="rows-foot">
          <span>{`${formatCount(entries.items.length)} so far`}</span>
          <button
            type="button"
            className="button button-small"
            onClick={entries.loadMore}
            disabled={entries.isLoadingMore}
          >
            {entries.isLoadingMore ? 'Loading…' : 'Newer'}
          </button>
        </div>
      )}
    </Panel>
  )
}

function EntryTable({ entries }: { entries: readonly { cell: string; item: Entry }[] }) {
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">Time</th>
          <th scope="col" className="wide-only">
            What
          </th>
          <th scope="col">Order</th>
          <th scope="col" className="wide-only">
            Debit
          </th>
          <th scope="col" className="wide-only">
            Credit
          </th>
          <th scope="col" className="number">
            Amount
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map(({ cell, item }) => (
          <tr key={`${cell} ${item.id}`}>
            <td>
              <Time at={item.at} style="day" />
            </td>
            <td className="wide-only">{capitalized(inWords(item.kind.replace('.', ' ')))}</td>
            <td>
              <Link href={`/orders/${item.order_id}`} title={item.order_id} data-row="">
                …{item.order_id.slice(-6)}
              </Link>
            </td>
            <td className="wide-only">{accountWords(item.debit)}</td>
            <td className="wide-only">{accountWords(item.credit)}</td>
            <td className="number">{formatMoney(item.amount)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
