// npm run screenshots: starts three cells far apart, holds a flash sale in them with one cut off, and writes docs/screenshots/*.png.
import { execFile } from 'node:child_process'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { eventually } from '../support/eventually.ts'
import { makeDataFolder, repository, startHoldfast } from '../support/holdfast.ts'
import { openBrowser, openContext, openPage, turnTo, type View, views } from './browser.ts'
import { fillShop, placeOrder } from './shop.ts'

const folder = join(repository, 'docs/screenshots')
const pictureBytesMax = 200_000

async function take(page: Page, name: string, view: View): Promise<void> {
  await turnTo(page, view)
  const path = join(folder, `${name}.png`)
  await page.screenshot({ path })
  const { size } = await stat(path)
  if (size > pictureBytesMax) throw new Error(`${name}.png has ${size} bytes, more than ${pictureBytesMax}`)
  process.stdout.write(`docs/screenshots/${name}.png ${Math.round(size / 1000)} kB\n`)
}

async function main(): Promise<void> {
  await mkdir(folder, { recursive: true })
  await promisify(execFile)(process.execPath, ['web/build.ts'], { cwd: repository })
  const { data, remove } = await makeDataFolder()
  const server = await startHoldfast([`--data=${data}`, '--cells=eu1,us1,ap1', '--latency=80ms'])
  const browser = await openBrowser()
  try {
    const urls = Object.fromEntries(
      [...server.output().matchAll(/ (http:\S+) +([a-z]+\d)\b/g)].map(([, url, cell]) => [cell, url!]),
    )
    const shop = await fillShop(urls)
    const { page } = await openPage(await openContext(browser, 'no-preference'))
    await showSale(page, server.url)
    await showShop(page, server.url, shop.shipped, Object.values(urls))
  } finally {
    await browser.close()
    server.interrupt()
    await server.ended
    await remove()
  }
}

const [deskLight, deskDark, phoneLight] = views

async function showSale(page: Page, url: string): Promise<void> {
  await page.goto(`${url}/chaos`)
  await page.getByText('Every unit accounted for').waitFor()
  await eventually(async () => (await page.locator('.term b').first().textContent()) !== '0', 60_000) // audits come every 30 s
  await page.getByLabel('Units').fill('6000')
  await page.getByLabel('Buyers at each cell').fill('6000')
  await page.getByRole('button', { name: 'Start a flash sale' }).click()
  const sold = async (): Promise<number> =>
    Number((await page.locator('.sale-sum b').textContent())?.replaceAll(/\D/g, ''))
  await eventually(async () => (await page.locator('.sale-sum').count()) > 0 && (await sold()) > 500, 60_000)
  await page.getByRole('button', { name: 'Cut off us1' }).click()
  await page.locator('.node', { hasText: 'us1' }).getByText('cut off').waitFor()
  await page.locator('.announcements p').waitFor({ state: 'detached' })
  await take(page, 'chaos', deskDark)
  await page.getByRole('button', { name: 'Heal us1' }).click()
  await page.locator('.node', { hasText: 'us1' }).getByText('orders/s').waitFor()
  await page.getByRole('link', { name: 'Now' }).click()
  await page.locator('.feed-row').first().waitFor()
  await page.locator('.announcements p').waitFor({ state: 'detached' })
  await take(page, 'now', deskLight)
  await take(page, 'now-dark', deskDark)
  await take(page, 'now-phone', phoneLight)
}

async function showShop(page: Page, url: string, order: string, urls: readonly string[]): Promise<void> {
  await turnTo(page, deskLight)
  await Promise.all(urls.map(placeOrder))
  const shown: [string, string, string][] = [
    ['orders', '/orders', 'so far'],
    ['order', `/orders/${order}`, 'JD014600001'],
    ['stock', '/stock/TEE-BLACK-M', 'Sum of all cells'],
    ['health', '/health', 'up to date'],
  ]
  for (const [name, path, text] of shown) {
    await page.goto(url + path)
    await page.getByText(text).first().waitFor()
    await page.locator('.pill-live').nth(2).waitFor()
    await take(page, name, deskLight)
  }
}

await main()
