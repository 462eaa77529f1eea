// Real cells and Debian's Chromium for a file of tests, with a page of its own for each test.
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { makeDataFolder, type Running, startHoldfast } from '../support/holdfast.ts'
import {
  keepPicture,
  misplacedOn,
  openBrowser,
  openContext,
  openPage,
  turnTo,
  type View,
  views,
  violationsOf,
} from './browser.ts'

export let page: Page
/** What the page threw. */
export let faults: string[]
export let data: string

export const traceLink = 'http://127.0.0.1:16686/trace/{trace_id}'

let browser: Browser
let context: BrowserContext
let server: Running
let remove: () => Promise<void>

/** Called where the suite is described, so that nothing is started where there is no browser. */
export function openRoom(cells: readonly string[]): void {
  beforeAll(async () => {
    ;({ data, remove } = await makeDataFolder())
    // Traces go nowhere, but are made where a caller asks for one.
    const traced = ['--otlp-endpoint=http://127.0.0.1:9', '--trace-ratio=0', `--trace-link=${traceLink}`]
    server = await startHoldfast([`--data=${data}`, `--cells=${cells.join(',')}`, ...traced])
    browser = await openBrowser()
    context = await openContext(browser)
  })
  afterAll(async () => {
    await browser?.close()
    server?.interrupt()
    await server?.ended
    await remove?.()
  })
  beforeEach(async () => {
    ;({ page, faults } = await openPage(context))
  })
  afterEach(async () => {
    await page.close()
  })
}

/** Of the cells by name. */
export const urls = (): Record<string, string> =>
  Object.fromEntries([...server.output().matchAll(/ (http:\S+) +([a-z]+\d)\b/g)].map(([, url, cell]) => [cell, url!]))

export const open = (path: string) => page.goto(urls().eu1 + path)
export const button = (name: string) => page.getByRole('button', { name, exact: true })
export const node = (cell: string) => page.locator('.node', { hasText: cell })

/** In widths and themes, without being loaded again. */
export async function expectSound(name: string, seen: readonly View[] = views): Promise<void> {
  for (const view of seen) {
    await turnTo(page, view)
    await keepPicture(page, `${name}-${view.name}`)
    expect(await misplacedOn(page), `${name} on ${view.name}`).toEqual([])
    expect(await violationsOf(page, view), `${name} on ${view.name}`).toEqual([])
  }
  await turnTo(page, views[0])
}
