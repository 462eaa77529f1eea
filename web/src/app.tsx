// Who comes in, and where they go: signing in, then the frame with its pages. What is not needed at first is loaded when the
// first page stands, so that the page goes on when the cell that served it does not.
import { useQueryClient } from '@tanstack/react-query'
import { type ComponentType, lazy, Suspense, useCallback, useEffect, useState } from 'react'
import { Redirect, Route, Switch } from 'wouter'
import { Announcements } from './announcements.tsx'
import { Frame } from './frame.tsx'
import { Now } from './pages/now.tsx'
import { SignIn } from './pages/sign-in.tsx'
import { Empty, Page, Skeleton } from './parts.tsx'
import { type Entry, enter, knownKey, SignedInArea } from './session.tsx'

type Loader = () => Promise<{ default: ComponentType }>

const loaders = {
  orders: () => import('./pages/orders.tsx').then(({ Orders }) => ({ default: Orders })),
  order: () => import('./pages/order.tsx').then(({ OrderPage }) => ({ default: OrderPage })),
  stock: () => import('./pages/stock.tsx').then(({ Stock }) => ({ default: Stock })),
  sku: () => import('./pages/sku.tsx').then(({ SkuPage }) => ({ default: SkuPage })),
  payments: () => import('./pages/payments.tsx').then(({ Payments }) => ({ default: Payments })),
  deadLetters: () => import('./pages/dead-letters.tsx').then(({ DeadLetters }) => ({ default: DeadLetters })),
  webhooks: () => import('./pages/webhooks.tsx').then(({ Webhooks }) => ({ default: Webhooks })),
  chaos: () => import('./pages/chaos.tsx').then(({ ChaosPage }) => ({ default: ChaosPage })),
  health: () => import('./pages/health.tsx').then(({ Health }) => ({ default: Health })),
} satisfies Record<string, Loader>

const Orders = lazy(loaders.orders)
const Order = lazy(loaders.order)
const Stock = lazy(loaders.stock)
const Sku = lazy(loaders.sku)
const Payments = lazy(loaders.payments)
const DeadLetters = lazy(loaders.deadLetters)
const Webhooks = lazy(loaders.webhooks)
const Chaos = lazy(loaders.chaos)
const Health = lazy(loaders.health)

const restAfterMs = 1500

type Door = { at: 'opening' } | { at: 'closed'; problem: unknown } | { at: 'open'; entry: Entry }

export function App() {
  const [door, setDoor] = useState<Door>({ at: 'opening' })
  const queries = useQueryClient()
  const come = useCallback(async (key: string) => setDoor({ at: 'open', entry: await enter(key) }), [])
  const leave = useCallback(() => {
    queries.clear()
    setDoor({ at: 'closed', problem: null })
  }, [queries])

  useEffect(() => {
    const open = async () => {
      const key = await knownKey()
      if (key === null) setDoor({ at: 'closed', problem: null })
      else await come(key)
    }
    open().catch((problem) => setDoor({ at: 'closed', problem }))
  }, [come])

  if (door.at === 'opening') return <div className="opening" role="status" aria-label="Signing in" />
  if (door.at === 'closed') return <SignIn problem={door.problem} onKey={come} />
  return (
    <SignedInArea key={door.entry.key} entry={door.entry} onLeave={leave}>
      <Frame>
        <Pages />
      </Frame>
      <Announcements />
    </SignedInArea>
  )
}

function Pages() {
  useEffect(() => {
    const timer = setTimeout(() => {
      for (const load of Object.values(loaders)) void load().catch(() => undefined) // asked for again when it is opened
    }, restAfterMs)
    return () => clearTimeout(timer)
  }, [])
  return (
    <Suspense fallback={<Skeleton rows={8} />}>
      <Switch>
        <Route path="/" component={Now} />
        <Route path="/orders" component={Orders} />
        <Route path="/orders/:id" component={Order} />
        <Route path="/stock" component={Stock} />
        <Route path="/stock/:sku" component={Sku} />
        <Route path="/payments" component={Payments} />
        <Route path="/dead-letters" component={DeadLetters} />
        <Route path="/webhooks" component={Webhooks} />
        <Route path="/chaos" component={Chaos} />
        <Route path="/health" component={Health} />
        <Route path="/sign-in">
          <Redirect to="/" replace />
        </Route>
        <Route>
          <Page title="Not found">
            <Empty title="There is no such page">The navigation names all there are.</Empty>
          </Page>
        </Route>
      </Switch>
    </Suspense>
  )
}
