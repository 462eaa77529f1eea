// Orders of all cells, newest first, filtered as the API can. The filters stand in the address, so that a list can be sent to somebody.
import type { Order, OrderQuery } from '@holdfast/sdk'
import { type CSSProperties, type FormEvent, useCallback } from 'react'
import { Link, useSearchParams } from 'wouter'
import { formatCount, formatMoney } from '../formats.ts'
import { Empty, Field, Found, Page, State, Time } from '../parts.tsx'
import { useMergedList } from '../queries.ts'
import { useCells } from '../session.tsx'
import { VirtualRows } from '../virtual-rows.tsx'

const statuses = ['pending', 'in_review', 'confirmed', 'completed', 'cancelled'] as const
const people = { reference: 'Reference', email: 'E-mail', customer: 'Customer id' } as const
type Person = keyof typeof people

const isNewer = (one: Order, other: Order): boolean =>
  one.created_at === other.created_at ? one.id > other.id : one.created_at > other.created_at

export function Orders() {
  const [search, setSearch] = useSearchParams()
  const status = statuses.find((one) => one === search.get('status'))
  const by = (Object.keys(people) as Person[]).find((name) => search.has(name))
  const query: OrderQuery = { ...(status ? { status } : {}), ...(by ? { [by]: search.get(by)! } : {}) }
  const only = search.get('cell') ?? undefined
  const list = useMergedList<Order>({
    name: ['orders', query],
    read: (client, page) => client.orders.list({ ...query, ...page }),
    before: isNewer,
    only,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is another object every time
  const more = useCallback(() => list.loadMore(), [list.isLoadingMore, list.items.length])
  const set = (changes: Record<string, string>) =>
    setSearch((before) => {
      for (const [name, value] of Object.entries(changes)) value === '' ? before.delete(name) : before.set(name, value)
      return before
    })
  const isFiltered = status !== undefined || by !== undefined || only !== undefined
  return (
    <Page
      title="Orders"
      aside={
        <button type="button" className="button" onClick={list.refetch}>
          Refresh
        </button>
      }
    >
      <Filters status={status} by={by} text={by ? search.get(by)! : ''} only={only} set={set} />
      <section className="panel" aria-label="Orders, newest first">
        <Found
          of={list}
          what="orders"
          isEmpty={list.items.length === 0}
          rows={12}
          empty={
            <Empty title={isFiltered ? 'No order is like that' : 'No orders yet'}>
              {isFiltered
                ? 'Change or clear the filters.'
                : 'They show here as soon as the first one is placed in any cell.'}
            </Empty>
          }
        >
          <VirtualRows
            items={list.items}
            className="orders-columns"
            label="Orders"
            heads={[
              { name: 'Order' },
              { name: 'Cell' },
              { name: 'Status' },
              { name: 'Payment' },
              { name: 'Units' },
              { name: 'Total', isNumber: true },
              { name: 'Placed', isNumber: true },
            ]}
            row={({ item }, { style, isNarrow }) => (
              <Row key={item.id} order={item} style={style} isNarrow={isNarrow} />
            )}
            hasMore={list.hasMore}
            isLoadingMore={list.isLoadingMore}
            hasFailed={list.error !== null}
            onMore={more}
          />
        </Found>
      </section>
    </Page>
  )
}

type FilterProps = {
  status: string | undefined
  by: Person | undefined
  text: string
  only: string | undefined
  set(changes: Record<string, string>): void
}

function Filters({ status, by, text, only, set }: FilterProps) {
  const cells = useCells()
  const find = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const cleared = Object.fromEntries(Object.keys(people).map((name) => [name, '']))
    set({ ...cleared, [String(form.get('by'))]: String(form.get('text')).trim() })
  }
  return (
    <search aria-label="Orders">
      <form className="filters" onSubmit={find}>
        <Field label="Status">
          {(id) => (
            <select id={id} value={status ?? ''} onChange={(event) => set({ status: event.target.value })}>
              <option value="">All</option>
              {statuses.map((one) => (
                <option key={one} value={one}>
                  {one.replace('_', ' ')}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Cell">
          {(id) => (
            <select id={id} value={only ?? ''} onChange={(event) => set({ cell: event.target.value })}>
              <option value="">All</option>
              {cells.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Find by">
          {(id) => (
            <select id={id} name="by" defaultValue={by ?? 'reference'}>
              {Object.entries(people).map(([name, label]) => (
                <option key={name} value={name}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </Field>
        <div className="field field-wide">
          <label htmlFor="order-text">Exactly</label>
          <input id="order-text" key={text} name="text" type="search" defaultValue={text} autoComplete="off" />
        </div>
        <button type="submit" className="button">
          Find
        </button>
      </form>
    </search>
  )
}

const unitsOf = ({ lines }: Order): string => {
  const units = lines.reduce((sum, { quantity }) => sum + quantity, 0)
  return lines.length === 1
    ? `${formatCount(units)} × ${lines[0]!.sku}`
    : `${formatCount(units)} in ${lines.length} lines`
}

function Row({ order, style, isNarrow }: { order: Order; style: CSSProperties; isNarrow: boolean }) {
  const name = order.reference ?? `…${order.id.slice(-10)}`
  const total = formatMoney(order.amounts.total)
  if (isNarrow)
    return (
      <li>
        <Link href={`/orders/${order.id}`} className="row" style={style} data-row="">
          <span className="row-id">{name}</span>
          <span className="number">{total}</span>
          <State of={order.status} />
          <span className="number soft">
            <Time at={order.created_at} style="day" />
          </span>
        </Link>
      </li>
    )
  return (
    <li>
      <Link href={`/orders/${order.id}`} className="row" style={style} data-row="">
        <span className="row-id" title={order.id}>
          {name}
        </span>
        <span className="soft">{order.cell}</span>
        <State of={order.status} />
        <State of={order.payment.status} />
        <span className="soft">{unitsOf(order)}</span>
        <span className="number">{total}</span>
        <span className="number soft">
          <Time at={order.created_at} style="day" />
        </span>
      </Link>
    </li>
  )
}
