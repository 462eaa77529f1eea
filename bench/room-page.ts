// The built control room in Debian's Chromium, as a person's browser has it: how fast Now opens with nothing kept from before, how much
// comes over the wire until something is painted, and how many frames a second it draws while events come in.
import type { Browser, Page } from 'playwright-core'
import { CommandFailure } from '../src/cli/failure.ts'
import { eventually } from '../test/support/eventually.ts'
import { openContext, openPage } from '../test/web/browser.ts'

/** Times from the start of the navigation. */
export type Load = { firstPaintMs: number; numbersMs: number; firstPaintKb: number; requests: number }

/** Into a profile of its own: nothing is in its cache. */
export async function loadNow(browser: Browser, url: string): Promise<Load> {
  const context = await openContext(browser, 'no-preference')
  try {
    const { page, faults } = await openPage(context)
    const wire = await watchWire(page)
    await page.addInitScript(`${lookForPaint}; ${lookForNumbers}`)
    await page.goto(url)
    const [firstPaintMs, numbersMs] = await page.evaluate<[number, number]>('Promise.all([painted, numbersShown])')
    expectNoFaults(faults)
    return { firstPaintMs, numbersMs, ...(await wire.untilFirstPaint()) }
  } finally {
    await context.close()
  }
}

/** It may be told of after the frame that has the numbers. */
const lookForPaint = `globalThis.painted = new Promise((resolve) => {
  new PerformanceObserver((list) => {
    for (const { name, startTime } of list.getEntries()) if (name === 'first-contentful-paint') resolve(startTime)
  }).observe({ type: 'paint', buffered: true })
})`

/** Until a frame in which the promise line has its units and the first tile has its number. */
const lookForNumbers = `globalThis.numbersShown = new Promise((resolve) => {
  const look = () => {
    const tile = document.querySelector('.tile b')
    if (tile && tile.textContent !== '–' && document.querySelector('.equation')) resolve(performance.now())
    else requestAnimationFrame(look)
  }
  look()
})`

type Request = { bytes: number; pieces: { at: number; bytes: number }[]; endedAt: number }

/** Bytes as Chromium counted them on the wire, heads and compressed bodies, with its own times. */
async function watchWire(page: Page) {
  const session = await page.context().newCDPSession(page)
  const requests = new Map<string, Request>()
  const painted = Promise.withResolvers<number>()
  session.on('Network.requestWillBeSent', ({ requestId }) => {
    requests.set(requestId, { bytes: 0, pieces: [], endedAt: Number.POSITIVE_INFINITY })
  })
  session.on('Network.dataReceived', ({ requestId, timestamp, encodedDataLength }) => {
    requests.get(requestId)?.pieces.push({ at: timestamp, bytes: encodedDataLength })
  })
  session.on('Network.loadingFinished', ({ requestId, timestamp, encodedDataLength }) => {
    const request = requests.get(requestId)
    if (request) Object.assign(request, { bytes: encodedDataLength, endedAt: timestamp })
  })
  session.on('Page.lifecycleEvent', ({ name, timestamp }) => {
    if (name === 'firstContentfulPaint') painted.resolve(timestamp)
  })
  await session.send('Network.enable')
  await session.send('Page.enable')
  await session.send('Page.setLifecycleEventsEnabled', { enabled: true })
  return {
    async untilFirstPaint(): Promise<{ firstPaintKb: number; requests: number }> {
      const at = await painted.promise
      const sums = [...requests.values()].map((request) =>
        request.endedAt <= at
          ? request.bytes
          : request.pieces.reduce((sum, piece) => sum + (piece.at <= at ? piece.bytes : 0), 0),
      )
      return {
        firstPaintKb: sums.reduce((sum, bytes) => sum + bytes, 0) / 1000,
        requests: sums.filter((bytes) => bytes > 0).length,
      }
    },
  }
}

export type Frames = {
  /** Between two frames. */
  gapsMs: number[]
  /** Of the worst of the whole seconds. */
  worstSecond: number
  eventsPerSecond: number
  /** The most by which the newest event on the page was older than the frame that showed it. */
  behindMs: number
}

/** Now while events come in; `wanted` a second are offered, and most of them have to arrive, or the frames would say nothing. */
export async function watchFrames(
  browser: Browser,
  url: string,
  { seconds, wanted }: { seconds: number; wanted: number },
): Promise<Frames> {
  const context = await openContext(browser, 'no-preference')
  try {
    const { page, faults } = await openPage(context)
    await page.goto(url)
    const isFull = `${shownEvents} > ${wanted * warmUpSeconds}` // asked from here: the page's policy lets nothing be evaluated in it later
    await eventually(() => page.evaluate<boolean>(isFull), 30_000).catch((error: Error) => {
      throw new CommandFailure('no_events', `the page is sent events and does not show them: ${error.message}`)
    })
    const { times, pushed, ages } = await page.evaluate<Watched>(watch(seconds))
    expectNoFaults(faults)
    const [first, last] = [times[0]!, times.at(-1)!]
    const perSecond = Array<number>(seconds).fill(0)
    for (const at of times.slice(1)) {
      const second = Math.floor((at - first) / 1000)
      if (second < seconds) perSecond[second]!++
    }
    const eventsPerSecond = ((pushed[1] - pushed[0]) * 1000) / (last - first)
    if (eventsPerSecond < wanted * 0.95)
      throw new CommandFailure('too_few_events', `the page took in ${eventsPerSecond} of ${wanted} events a second`)
    return {
      gapsMs: times.slice(1).map((at, before) => at - times[before]!),
      worstSecond: Math.min(...perSecond),
      eventsPerSecond,
      behindMs: Math.max(...ages),
    }
  } finally {
    await context.close()
  }
}

const warmUpSeconds = 5 // the rest of the page is loaded meanwhile, and its code compiled

/** "the last 2,000 of 12,345": what the page says it was sent. */
const shownEvents = `Number(document.querySelector('.feed .panel-note')?.textContent.match(/[\\d,]+$/)?.[0].replaceAll(',', '') ?? 0)`

type Watched = { times: number[]; pushed: [number, number]; ages: number[] }

/** Frames as the browser asks for them; the feed is looked at once a second, which costs the page next to nothing. */
const watch = (seconds: number): string => `new Promise((resolve) => {
  const times = []
  const ages = []
  const before = ${shownEvents}
  const draw = (now) => {
    times.push(now)
    const passed = now - times[0]
    if (passed / 1000 >= ages.length) ages.push(Date.now() - Date.parse(document.querySelector('.feed-row time').dateTime))
    if (passed < ${seconds * 1000}) requestAnimationFrame(draw)
    else resolve({ times, ages, pushed: [before, ${shownEvents}] })
  }
  requestAnimationFrame(draw)
})`

function expectNoFaults(faults: readonly string[]): void {
  if (faults.length > 0) throw new CommandFailure('page_broken', `the page threw: ${faults.join('; ')}`)
}
