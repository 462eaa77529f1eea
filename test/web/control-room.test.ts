// The control room over real cells, in Debian's Chromium. Every page in every state that it has (nothing there, awaited, refused and
// full), on a phone and on a desk, dark and light: axe finds nothing, nothing lies on anything else, nothing is cut off. Then what
// it does: things are done once, refusals are told, cells that fall silent are shown and hinder nobody.
import type { Request } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { findPrograms } from '../support/programs.ts'
import { openReceiver, type Receiver } from '../support/webhook-receiver.ts'
import { views } from './browser.ts'
import { button, expectSound, faults, open, openRoom, page, traceLink, urls } from './room.ts'
import { fillShop, fillWebhooks, placeOrder, placeTracedOrder, type Shop, shopSku } from './shop.ts'

const suite = describe.skipIf(!findPrograms('chromium'))

let shop: Shop
let receiver: Receiver

const inDialog = (name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true })

type Shown = { path: () => string; title: string; empty?: string; full: string }

const pages: Record<string, Shown> = {
  now: { path: () => '/', title: 'Now', empty: 'Every unit accounted for', full: 'Order confirmed' },
  orders: { path: () => '/orders', title: 'Orders', empty: 'No orders yet', full: 'WEB-10' },
  order: { path: () => `/orders/${shop.shipped}`, title: 'Order', full: 'JD014600001' },
  stock: { path: () => '/stock', title: 'Stock', full: shopSku },
  sku: { path: () => `/stock/${shopSku}`, title: shopSku, full: 'Sum of all cells' },
  payments: { path: () => '/payments', title: 'Payments', empty: 'Nothing was booked yet', full: 'Provider: test' },
  'dead-letters': {
    path: () => '/dead-letters',
    title: 'Dead letters',
    empty: 'Nothing was given up',
    full: 'endpoint_gone',
  },
  webhooks: {
    path: () => '/webhooks',
    title: 'Webhooks',
    empty: 'Nobody is told of events',
    full: '/failing',
  },
  chaos: { path: () => '/chaos', title: 'Chaos', empty: 'No sale yet', full: 'No sale yet' },
  health: { path: () => '/health', title: 'Health', full: 'up to date' },
}

async function see(path: string, text: string): Promise<void> {
  await open(path)
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.getByText(text).first().waitFor()
}

const bothWidths = [views[0], views[3]]

const named = (some: Record<string, unknown>): string[] => Object.keys(some)

/** What each page asks of the cells. */
const calls: Record<string, string> = {
  orders: '**/v1/orders?*',
  order: '**/v1/orders/ord_*',
  sku: '**/v1/stock/*',
  payments: '**/v1/ledger/**',
  'dead-letters': '**/v1/dead-letters*',
  webhooks: '**/v1/webhook-*',
  now: '**/v1/pulse',
  stock: '**/v1/stock?*',
  chaos: '**/v1/chaos',
  health: '**/v1/{objectives,pulse,slow-queries}',
}

/** Every call of this kind, from now on. */
const refuse = (pattern: string): Promise<unknown> => {
  const problem = { type: '/docs#forbidden', title: 'The key lacks the scope', status: 403, code: 'forbidden' }
  return page.route(pattern, (route) => {
    if (route.request().resourceType() === 'document') return route.continue()
    return route.fulfill({
      status: 403,
      headers: { 'access-control-allow-origin': '*' },
      contentType: 'application/problem+json',
      body: JSON.stringify(problem),
    })
  })
}

suite('the control room', () => {
  openRoom(['eu1', 'us1'])

  describe('where nothing has happened yet', () => {
    test.each(named(pages).filter((name) => pages[name]!.empty))(
      '%s says so, and what would change it',
      async (name) => {
        await see(pages[name]!.path(), pages[name]!.empty!)
        await expectSound(`${name}-empty`, bothWidths)
        expect(faults).toEqual([])
      },
    )
  })

  describe('a shop with orders', () => {
    beforeAll(async () => {
      receiver = await openReceiver()
      shop = await fillShop(urls())
      await fillWebhooks(urls().eu1!, receiver)
    })

    afterAll(() => receiver?.close())

    test.each(named(pages))('fills %s', async (name) => {
      if (name === 'now') await placeOrder(urls().eu1!) // the feed begins at the last audit
      await see(pages[name]!.path(), pages[name]!.full)
      await expectSound(name)
      expect(faults).toEqual([])
    })

    test.each(named(calls))('%s that is refused says what happened and what to do', async (name) => {
      await refuse(calls[name]!)
      await see(pages[name]!.path(), 'The key lacks the scope')
      await expectSound(`${name}-refused`, bothWidths)
    })

    test.each(named(calls))('%s whose answer is awaited keeps the place of it', async (name) => {
      await page.route(calls[name]!, (route) => {
        if (route.request().resourceType() === 'document') return route.continue()
        return undefined // it is never answered
      })
      await open(pages[name]!.path())
      await page.getByRole('heading', { level: 1 }).waitFor()
      if (name === 'now') await page.getByText('The first audit is on its way').waitFor()
      else await page.getByRole('status', { name: 'Loading' }).first().waitFor()
      await expectSound(`${name}-awaited`, bothWidths)
    })

    test('cells that none of them answers are all told as such, beside each other', async () => {
      await page.route(calls.now!, () => undefined)
      await open('/')
      await eventually(async () => (await page.locator('.node-label', { hasText: 'not reachable' }).count()) === 2)
      await expectSound('now-silent', bothWidths)
    })

    test('an event of a request that was traced leads to its trace', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
      const { id } = await placeTracedOrder(urls().eu1!, traceId)
      await open(`/orders/${id}`)
      const link = page.getByRole('link', { name: `Trace ${traceId}` })
      await link.waitFor()
      expect(await link.getAttribute('href')).toBe(traceLink.replace('{trace_id}', traceId))
      await expectSound('order-traced')
    })

    describe('an action on an order', () => {
      test('is done once, however often its button is pressed, and the focus comes back', async () => {
        const posts: Request[] = []
        page.on('request', (request) => request.method() === 'POST' && posts.push(request))
        await open(`/orders/${shop.paid}`)
        await button('Cancel').click()
        await inDialog('Cancel order').dblclick()
        await page.getByText('Order cancelled').first().waitFor()
        expect(new Set(posts.map((request) => request.headers()['idempotency-key'])).size).toBe(1)
        await page.getByText('Cancelled', { exact: true }).first().waitFor()
        expect(await button('Cancel').count()).toBe(0)
      })

      test('that is tried again after its answer was lost is still done once', async () => {
        const keys: string[] = []
        await page.route('**/refunds', async (route) => {
          const { method, headers } = { method: route.request().method(), headers: route.request().headers() }
          if (method !== 'POST') return route.continue()
          keys.push(headers['idempotency-key']!)
          if (keys.length > 1) return route.continue()
          await route.fetch()
          await route.abort()
        })
        await open(`/orders/${shop.shipped}`)
        await button('Refund').click()
        await page.getByLabel('Reason').fill('damaged on the way')
        await inDialog('Refund').click()
        await page.getByRole('heading', { name: 'Refunds' }).waitFor()
        expect(new Set(keys).size).toBe(1)
        expect(keys.length).toBeGreaterThan(1)
        const client = await fetch(`${urls().eu1}/v1/orders/${shop.shipped}/refunds`, {
          headers: { authorization: 'Bearer sk_dev' },
        })
        expect(((await client.json()) as { data: unknown[] }).data.length).toBe(1)
      })

      test('that is refused says why, and stays open', async () => {
        await open(`/stock/${shopSku}`)
        await button('Adjust').click()
        await page.getByLabel('Units').fill('-100000')
        await page.getByLabel('Reason').selectOption('correction')
        await inDialog('Adjust').click()
        const refusal = page.getByRole('dialog').getByRole('alert')
        await refusal.waitFor()
        expect(await refusal.textContent()).toContain('insufficient_stock')
        await page.keyboard.press('Escape')
        await page.getByRole('dialog').waitFor({ state: 'detached' })
        expect(await page.evaluate('document.activeElement.textContent')).toBe('Adjust')
      })

      test('that the key may not do is not shown', async () => {
        await page.route('**/v1/session', async (route) => {
          const answer = await route.fetch()
          await route.fulfill({
            response: answer,
            json: { ...(await answer.json()), scopes: ['orders:read', 'cells:read'] },
          })
        })
        await open(`/orders/${shop.pending}`)
        await page.getByRole('heading', { name: 'Time line' }).waitFor()
        expect(await button('Cancel').count()).toBe(0)
        expect(await page.getByRole('link', { name: 'Stock' }).count()).toBe(0)
      })
    })

    test('a message that was given up is dropped for a reason, or tried again and taken; its tries are told', async () => {
      await open('/dead-letters')
      const letters = page.locator('.part', { hasText: 'tries' })
      await eventually(async () => (await letters.count()) === 2, 10_000)
      await letters.first().getByRole('button', { name: 'Drop' }).click()
      await page.getByLabel('Reason').fill('the shop has moved')
      await inDialog('Drop').click()
      await page.locator('.panel', { hasText: 'newest first' }).getByText('the shop has moved').waitFor()
      await expectSound('dead-letters-dropped', bothWidths)

      receiver.answer(() => ({ status: 200 }))
      await open('/webhooks')
      const gone = page.locator('.part', { hasText: 'gone' })
      await gone.first().getByText('disabled: gone').waitFor()
      for (const one of await gone.all()) {
        await one.getByRole('button', { name: 'Enable' }).click()
        await inDialog('Enable').click()
        await one.getByRole('button', { name: 'Disable' }).waitFor()
      }
      await page.locator('.row-button', { hasText: 'Dropped' }).click()
      await page.getByRole('dialog').getByText('410').waitFor()
      await expectSound('delivery', bothWidths)

      const before = receiver.received.length
      await open('/dead-letters')
      await button('Try again').click()
      await inDialog('Try again').click()
      await eventually(() => receiver.received.slice(before).some(({ path }) => path.startsWith('/gone')), 15_000)
    })

    describe('signing in', () => {
      test('asks for a key when none is known, says what is wrong with one, and takes one that is right', async () => {
        await page.route('**/control-room.json', (route) => route.fulfill({ json: { development_key: null } }))
        await open('/')
        await page.getByLabel('Secret key').fill('sk_wrong')
        await button('Sign in').click()
        await page.getByRole('alert').waitFor()
        await page.getByLabel('Secret key').fill('sk_dev')
        await button('Sign in').click()
        await page.getByRole('heading', { name: 'Now' }).waitFor()
      })

      test('ends by signing out, and stays ended', async () => {
        await open('/')
        await button('Sign out').click()
        await page.getByLabel('Secret key').waitFor()
        await page.reload()
        await page.getByLabel('Secret key').waitFor()
      })
    })

    test('the keyboard goes to pages, walks lists, opens what it stands on, and lists its keys', async () => {
      await open('/')
      await page.getByRole('heading', { name: 'Now' }).waitFor()
      await page.keyboard.press('?')
      await page.getByRole('dialog', { name: 'Keys' }).waitFor()
      await page.keyboard.press('Escape')
      await page.keyboard.press('g')
      await page.keyboard.press('o')
      await page
        .getByRole('link', { name: /WEB-10/ })
        .first()
        .waitFor()
      await page.keyboard.press('j')
      await page.keyboard.press('j')
      await page.keyboard.press('k')
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Time line' }).waitFor()
      expect(await page.evaluate('document.activeElement.tagName')).toBe('H1')
    })

    test('an order shows what endpoints were told of it, with every try', async () => {
      receiver.answer(({ path }) => ({ status: path === '/failing' ? 500 : 200 }))
      const { id } = await placeOrder(urls().eu1!)
      await open(`/orders/${id}`)
      const messages = page.locator('.panel', { has: page.getByRole('heading', { name: 'Messages' }) })
      await messages.locator('.part', { hasText: '/taken' }).getByText('Delivered').waitFor()
      await messages.locator('.part', { hasText: '/failing' }).getByText('Pending').waitFor()
      await expectSound('order-messages')
      await messages.locator('.part', { hasText: '/failing' }).getByRole('button').click()
      await page.getByRole('dialog').getByText('500').waitFor()
      await expectSound('order-message', bothWidths)
    })

    test('an order of which nobody is told says so', async () => {
      await open(`/orders/${shop.pending}`)
      await page.getByText('Nobody was told of it').waitFor()
    })

    test('health tells which statements took most time, in which cell', async () => {
      await open('/health')
      const panel = page.locator('.slow-queries')
      await panel.locator('.statement').nth(5).waitFor()
      await panel.scrollIntoViewIfNeeded()
      expect(await panel.getByRole('cell', { name: 'us1', exact: true }).count()).toBeGreaterThan(0)
      await expectSound('health-queries')
    })

    test('lists go on to the oldest order of all cells, and filters narrow them', async () => {
      await open('/orders')
      const count = () => page.locator('.rows-foot > span').textContent()
      await page.getByText('so far').waitFor()
      await page.keyboard.press('End')
      await eventually(async () => /^7\d$/.test((await count()) ?? ''), 10_000)
      await page.getByLabel('Exactly').fill('WEB-1042')
      await button('Find').click()
      await eventually(async () => (await count()) === '1', 10_000)
      await page.getByLabel('Exactly').fill('WEB-none')
      await button('Find').click()
      await page.getByText('No order is like that').waitFor()
    })

    test('the rest of a list that cannot be had is told, and is there once it is asked for again', async () => {
      const rest = '**/v1/orders?*cursor=*'
      await page.route('**/v1/orders?*', (route) =>
        route.continue({ url: route.request().url().replace('limit=50', 'limit=10') }),
      )
      await open('/orders')
      await page.getByText('so far').waitFor()
      await refuse(rest)
      await page.keyboard.press('End')
      await page.getByRole('alert').getByText('The key lacks the scope').waitFor()
      await page.getByRole('button', { name: 'Older' }).waitFor() // nobody asks again and again by himself
      await expectSound('orders-rest-refused', bothWidths)
      await page.unroute(rest)
      await page.getByRole('alert').getByRole('button').click()
      await eventually(async () => (await page.getByRole('alert').count()) === 0, 10_000)
    })
  })
})
