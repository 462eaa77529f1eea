// The control room while things break, over three real cells, in Debian's Chromium: cells that fall silent, are cut off or stopped are
// shown and hinder nobody, buyers go on, the promise stands, and the numbers meet when all are back.
import { readdirSync } from 'node:fs'
import { createClient, type ObjectiveList } from '@holdfast/sdk'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { cellProcess } from '../support/holdfast.ts'
import { findPrograms } from '../support/programs.ts'
import { views } from './browser.ts'
import { button, data, expectSound, node, open, openRoom, page, urls } from './room.ts'
import { fillShop } from './shop.ts'

const term = async (name: string): Promise<number> => {
  const text = await page.locator('.term', { hasText: name }).locator('b').textContent()
  return Number(text?.replaceAll(/\D/g, ''))
}

const soldOf = async (): Promise<number> =>
  Number((await page.locator('.sale-sum b').textContent())?.replaceAll(/\D/g, ''))

const over = () => page.locator('.sale .panel-note').getByText('Over', { exact: true }).waitFor({ timeout: 60_000 })

/** All that was received is where it should be, as audits of after it say, and nothing is on its way. */
async function expectMet(received: number): Promise<void> {
  await eventually(async () => (await term('received')) === received && (await term('in flight')) === 0, 60_000)
  expect(await page.locator('.verdict').textContent()).toContain('Every unit accounted for')
  expect(await page.locator('.faults').textContent()).toBe('0 oversold0 lost0 doubled')
}

async function holdSale(units: number, buyers: number): Promise<void> {
  await page.getByLabel('Units').fill(String(units))
  await page.getByLabel('Buyers at each cell').fill(String(buyers))
  await button('Start a flash sale').click()
  await page.getByText(`of ${units} units`).waitFor()
  await over()
}

describe.skipIf(!findPrograms('chromium'))('while things break', () => {
  openRoom(['eu1', 'us1', 'ap1'])
  let received = 490

  beforeAll(async () => {
    await fillShop(urls())
  })

  test('a newcomer starts a sale, cuts a cell off, and sees who sells and that every unit is accounted for', async () => {
    await open('/')
    await button('Start a flash sale').click()
    await page.getByRole('heading', { name: 'Chaos' }).waitFor()
    await eventually(async () => (await page.locator('.sale-sum').count()) > 0 && (await soldOf()) > 0, 15_000)
    await button('Cut off us1').click()
    await node('us1').getByText('cut off').waitFor()
    await page.getByText('It sells on, but its own units alone').waitFor()
    await expectSound('newcomer-cut', [views[0]])
    await over()
    received += 10_000
    expect(await soldOf()).toBeLessThanOrEqual(10_000)
    await expectSound('newcomer-over')
    await button('Heal us1').click()
    await node('us1').getByText('orders/s').waitFor()
    await expectMet(received)
    await page.getByText('sold, to be shipped').waitFor()
    await expectSound('newcomer-met')
  })

  test('a cell that is stopped is shown, the others sell on, and when it is started again the numbers meet', async () => {
    await open('/chaos')
    await button('Stop us1').click()
    await node('us1').getByText('not reachable').waitFor()
    await holdSale(40, 60)
    received += 40
    expect(await soldOf()).toBe(40)
    await page.getByText('us1 as last heard').waitFor()
    expect(await page.locator('.verdict').textContent()).toContain('Every unit accounted for')
    await expectSound('chaos-stopped')
    await button('Start us1').click()
    await node('us1').getByText('orders/s').waitFor({ timeout: 60_000 })
    await expectMet(received)
  })

  test('audits are asked for when there is a sale, of every cell, and not before', async () => {
    const asked = new Set<string>()
    page.on('request', (request) => {
      const { origin, pathname, search } = new URL(request.url())
      if (pathname === '/v1/audit' && search.includes('fresh')) asked.add(origin)
    })
    await open('/chaos')
    await page.getByText('Every unit accounted for').waitFor()
    expect(asked.size).toBe(0)
    await holdSale(30, 20)
    received += 30
    await expectMet(received)
    expect(asked).toEqual(new Set(Object.values(urls())))
  })

  test('health tells what the cells have counted, and which of them counted what was bad', async () => {
    const clients = Object.entries(urls()).map(([cell, url]) => ({
      cell,
      client: createClient({ url, key: 'sk_dev' }),
    }))
    const counted = async (name: string) => {
      const lists = await Promise.all(clients.map(({ client }): Promise<ObjectiveList> => client.objectives()))
      const all = lists.map(({ data: list }) => list.find((one) => one.name === name)!)
      return { good: all.reduce((sum, one) => sum + one.good, 0), total: all.reduce((sum, one) => sum + one.total, 0) }
    }
    await eventually(async () => {
      const { good, total } = await counted('cell_reachability')
      return good < total
    }, 30_000)
    await open('/health')
    const row = (name: string) => page.locator(`[data-objective=${name}]`)
    await row('cell_reachability').getByText('bad').waitFor()
    for (const name of ['cell_reachability', 'order_acceptance'])
      await eventually(async () => {
        const { good, total } = await counted(name)
        const burn = (1 - good / total) / (1 - 0.999)
        const [, share, of, left, rate] = await row(name).locator('td').allTextContents()
        const isLike = (text: string | undefined, value: number): boolean =>
          Math.abs(Number(text?.replaceAll(/[^\d.]/g, '')) - value) <= 0.5
        return (
          of === total.toLocaleString('en-GB') &&
          isLike(share, (good / total) * 100) &&
          isLike(rate, burn) &&
          (burn > 1 ? left === 'spent' : isLike(left, 100 * (1 - burn)))
        )
      }, 30_000)
    await expectSound('health-burning', [views[0], views[3]])
  })

  describe('a cell that falls silent', () => {
    const stopped: number[] = []
    const still = (cell: string) => {
      const pid = cellProcess(data, cell)!
      process.kill(pid, 'SIGSTOP')
      stopped.push(pid)
    }

    afterEach(() => {
      for (const pid of stopped.splice(0)) if (readdirSync('/proc').includes(String(pid))) process.kill(pid, 'SIGCONT')
    })

    test('is shown as not reachable, and comes back by itself', async () => {
      await open('/')
      await node('us1').getByText('orders/s').waitFor()
      still('us1')
      await node('us1').getByText('not reachable').waitFor()
      process.kill(stopped.pop()!, 'SIGCONT')
      await node('us1').getByText('orders/s').waitFor()
    })

    test('though it served the page, takes nothing from the others', async () => {
      await open('/')
      await node('us1').getByText('orders/s').waitFor()
      await eventually(
        async () =>
          (await page.evaluate(
            'performance.getEntriesByType("resource").filter(({name}) => /health-/.test(name)).length',
          )) === 1,
        10_000,
      )
      still('eu1')
      await node('eu1').getByText('not reachable').waitFor()
      await page.getByRole('link', { name: 'Orders' }).click()
      await page.getByText('eu1 cannot be reached').waitFor()
      await page.locator('[data-row]').first().waitFor()
    })
  })
})
