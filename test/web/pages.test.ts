// Every page of the control room, over real cells, in every state that it has: nothing there, awaited, refused, and full; on a
// phone and on a desk, dark and light. axe finds nothing, nothing lies on anything else, and nothing is cut off.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeDataFolder, type Running, repository, startHoldfast } from '../support/holdfast.ts'
import { keepPicture, misplacedOn, openBrowser, openPage, type View, views, violationsOf } from './browser.ts'
import { fillShop, placeOrder, type Shop, shopSku } from './shop.ts'

let browser: Browser
let server: Running
let remove: () => Promise<void>
let shop: Shop

const urls = (): Record<string, string> =>
  Object.fromEntries([...server.output().matchAll(/ (http:\S+) +([a-z]+\d)\b/g)].map(([, url, cell]) => [cell, url]))

beforeAll(async () => {
  await promisify(execFile)(process.execPath, ['web/build.ts'], { cwd: repository })
  const folder = await makeDataFolder()
  remove = folder.remove
  server = await startHoldfast([`--data=${folder.data}`, '--cells=eu1,us1'])
  browser = await openBrowser()
})

afterAll(async () => {
  await browser?.close()
  server?.interrupt()
  await server?.ended
  await remove?.()
})

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
    full: 'Nothing was given up',
  },
  webhooks: {
    path: () => '/webhooks',
    title: 'Webhooks',
    empty: 'Nobody is told of events',
    full: 'Nobody is told of events',
  },
  chaos: { path: () => '/chaos', title: 'Chaos', empty: 'No sale yet', full: 'No sale yet' },
  health: { path: () => '/health', title: 'Health', full: 'up to date' },
}

const desk = views[0]
const phone = views[2]

async function see(page: Page, path: string, text: string): Promise<void> {
  await page.goto(urls().eu1 + path)
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.getByText(text).first().waitFor()
}

async function expectSound(page: Page, name: string, view: View): Promise<void> {
  await keepPicture(page, `${name}-${view.name}`)
  expect(await misplacedOn(page), `${name} on ${view.name}`).toEqual([])
  expect(await violationsOf(page), `${name} on ${view.name}`).toEqual([])
}

test.each([desk, phone])(
  'where nothing has happened yet, pages say so and what would change it: $name',
  async (view) => {
    const { page, faults } = await openPage(browser, view)
    for (const [name, { path, empty }] of Object.entries(pages)) {
      if (empty === undefined) continue
      await see(page, path(), empty)
      await expectSound(page, `${name}-empty`, view)
    }
    expect(faults).toEqual([])
    await page.context().close()
  },
)

describe('a shop with orders', () => {
  beforeAll(async () => {
    shop = await fillShop(urls())
  })

  test.each(views)('fills every page: $name', async (view) => {
    await placeOrder(urls().eu1!) // the feed begins at the last audit
    const { page, faults } = await openPage(browser, view)
    for (const [name, { path, full }] of Object.entries(pages)) {
      await see(page, path(), full)
      await expectSound(page, name, view)
    }
    expect(faults).toEqual([])
    await page.context().close()
  })

  const calls: Record<string, string> = {
    orders: '**/v1/orders?*',
    order: '**/v1/orders/ord_*',
    sku: '**/v1/stock/*',
    payments: '**/v1/ledger/**',
    'dead-letters': '**/v1/dead-letters*',
    webhooks: '**/v1/webhook-*',
  }

  test.each([desk, phone])('a page that is refused says what happened and what to do: $name', async (view) => {
    const { page } = await openPage(browser, view)
    const problem = { type: '/docs#forbidden', title: 'The key lacks the scope', status: 403, code: 'forbidden' }
    for (const [name, pattern] of Object.entries(calls)) {
      const answer = { status: 403, contentType: 'application/problem+json', body: JSON.stringify(problem) }
      await page.route(pattern, (route) =>
        route.request().resourceType() === 'document'
          ? route.continue()
          : route.fulfill({ ...answer, headers: { 'access-control-allow-origin': '*' } }),
      )
      await see(page, pages[name]!.path(), 'The key lacks the scope')
      await expectSound(page, `${name}-refused`, view)
      await page.unrouteAll({ behavior: 'ignoreErrors' })
    }
    await page.context().close()
  })

  test.each([desk, phone])('a page whose answer is awaited keeps the place of it: $name', async (view) => {
    const { page } = await openPage(browser, view)
    for (const [name, pattern] of Object.entries(calls)) {
      const waiting: (() => void)[] = []
      await page.route(pattern, async (route) => {
        if (route.request().resourceType() !== 'document') await new Promise<void>((resolve) => waiting.push(resolve))
        await route.continue().catch(() => undefined)
      })
      await page.goto(urls().eu1 + pages[name]!.path())
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.getByRole('status', { name: 'Loading' }).first().waitFor()
      await expectSound(page, `${name}-awaited`, view)
      for (const release of waiting) release()
      await page.unrouteAll({ behavior: 'ignoreErrors' })
    }
    await page.context().close()
  })
})
