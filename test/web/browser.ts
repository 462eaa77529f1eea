// The control room in Debian's Chromium: opened at a width and in a theme, looked at by axe and by measure, and kept as pictures.
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import axe from 'axe-core'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

export const views = [
  { name: 'desktop-light', width: 1440, height: 900, theme: 'light' },
  { name: 'desktop-dark', width: 1440, height: 900, theme: 'dark' },
  { name: 'phone-light', width: 390, height: 844, theme: 'light' },
  { name: 'phone-dark', width: 390, height: 844, theme: 'dark' },
] as const
export type View = (typeof views)[number]

export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu'] })

/** Where pages share what was loaded once. */
export const openContext = (browser: Browser, motion: 'reduce' | 'no-preference' = 'reduce'): Promise<BrowserContext> =>
  browser.newContext({
    viewport: { width: 1440, height: 900 },
    colorScheme: 'light',
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    reducedMotion: motion,
  })

/** Light and on a desk; what it throws is kept in `faults`. */
export async function openPage(context: BrowserContext): Promise<{ page: Page; faults: string[] }> {
  const page = await context.newPage()
  await page.bringToFront() // keys go to the window in front
  page.setDefaultTimeout(15_000)
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  return { page, faults }
}

/** The page as it is, without loading it again. */
export async function turnTo(page: Page, { width, height, theme }: View): Promise<void> {
  await page.emulateMedia({ colorScheme: theme })
  await page.setViewportSize({ width, height })
}

let folder: string | undefined

/** Into the folder HOLDFAST_SCREENSHOTS, or one that the system clears. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  folder ??= process.env.HOLDFAST_SCREENSHOTS ?? (await mkdtemp(join(tmpdir(), 'holdfast-screenshots-')))
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}

const everyRule = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** What another theme or width may change. */
const ofTheView = ['color-contrast', 'target-size', 'scrollable-region-focusable', 'region', 'page-has-heading-one']

/** What WCAG 2.2 AA has against the page, as axe finds it. */
export async function violationsOf(page: Page, view: View): Promise<string[]> {
  if (!(await page.evaluate<boolean>('"axe" in globalThis'))) await page.evaluate(axe.source)
  const rules = view.name === 'desktop-light' ? { type: 'tag', values: everyRule } : { type: 'rule', values: ofTheView }
  return page.evaluate(`axe.run({ runOnly: ${JSON.stringify(rules)} }).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html, any }) => id + ': ' + html.slice(0, 160) + ' ' + (any[0]?.message ?? ''))))`)
}

/** What is cut off, lies on something else, or makes the page scroll sideways. */
export const misplacedOn = (page: Page): Promise<string[]> =>
  page.evaluate(`(() => {
    const faults = []
    if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is wider than the window')
    const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    const named = (element) => element.tagName.toLowerCase() + '.' + element.className + ' ' + element.textContent.slice(0, 40)
    for (const element of document.querySelectorAll('main *, header *')) {
      const style = getComputedStyle(element)
      if (!isShown(element) || element.closest('.visually-hidden, svg, canvas, .sparkline')) continue
      const isCut = element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
      if (isCut && style.overflowX === 'hidden' && style.textOverflow !== 'ellipsis') faults.push('cut off: ' + named(element))
      const { right, left, width } = element.getBoundingClientRect()
      if (width > 0 && (right > innerWidth + 1 || left < -1) && !element.closest('.table-scroll, .map')) faults.push('outside: ' + named(element))
    }
    for (const label of document.querySelectorAll('.node-label')) {
      const [box, map] = [label, label.closest('.map')].map((element) => element.getBoundingClientRect())
      if (box.left < map.left || box.right > map.right || box.top < map.top || box.bottom > map.bottom) faults.push('not on the map: ' + named(label))
    }
    const solid = [...document.querySelectorAll('main :is(button, input, select, h1, h2, th, td, dt, dd, label, .term, .node-label, .state)')].filter(isShown)
    const boxes = solid.map((element) => ({ element, box: element.getBoundingClientRect() })).filter(({ box }) => box.width > 0)
    for (const [at, one] of boxes.entries()) for (const other of boxes.slice(at + 1)) {
      if (one.element.contains(other.element) || other.element.contains(one.element) || one.element.closest('.visually-hidden') || other.element.closest('.visually-hidden')) continue
      if (one.element.closest('dialog') !== other.element.closest('dialog')) continue // a dialog lies on the page
      const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left)
      const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top)
      if (across > 2 && down > 2) faults.push(named(one.element) + ' lies on ' + named(other.element))
    }
    return [...new Set(faults)]
  })()`)
