// The rules that are made of the objectives: Prometheus takes them, they say what the tests beside them expect, and each alert tells
// whoever it wakes what to do.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { burns, objectives, symptoms } from '../../deploy/observability/objectives.ts'
import { findPrograms } from '../support/programs.ts'
import { promtool } from '../support/prometheus.ts'
import { readText, repository } from '../tidy/sources.ts'

const folder = join(repository, 'deploy/observability/prometheus')
const alerts = [...objectives, ...symptoms].map(({ alert }) => alert)

describe.skipIf(!findPrograms('prometheus', 'promtool'))('the rules', () => {
  test('are taken by Prometheus without a complaint', () => {
    expect(promtool(['check', 'rules', '--lint-fatal', 'rules.yml'], folder)).toMatchObject({ code: 0 })
  })

  test('say what their tests expect, at each speed at which a budget is spent', { timeout: 120_000 }, () => {
    const { code, output } = promtool(['test', 'rules', 'rules.test.yml'], folder)
    expect(output).toContain('SUCCESS')
    expect(code).toBe(0)
  })
})

test('each alert has a page that says what is felt, how to confirm it and what to do, and no page is without an alert', () => {
  const pages = readdirSync(join(repository, 'docs/runbooks')).map((file) => file.replace(/\.md$/, ''))
  expect(pages.sort()).toEqual([...alerts].sort())
  for (const page of pages) {
    const text = readText(`docs/runbooks/${page}.md`)
    const heads = [...text.matchAll(/^#+ (.*)$/gm)].map(([, head]) => head)
    expect(heads, page).toEqual([expect.stringContaining(`${page}: `), 'What is felt', 'How to confirm', 'What to do'])
  }
})

test('no alert is named twice', () => {
  expect(new Set(alerts).size).toBe(alerts.length)
})

test('runbooks name only commands that there are', () => {
  const known = new Set([...readText('src/cli/holdfast.ts').matchAll(/^ {2}(\w+): \{/gm)].map(([, name]) => name))
  for (const alert of alerts)
    for (const [, command] of readText(`docs/runbooks/${alert}.md`).matchAll(/`holdfast (\w+)/g))
      expect(known, `${alert}: holdfast ${command}`).toContain(command)
})

test('speeds are those that spend the same part of the budget in each window: 2, 5, 10 and 10 per cent of 30 days', () => {
  const hours = (window: string) => Number.parseInt(window, 10) * (window.endsWith('d') ? 24 : 1)
  const spent = burns.map(({ factor, long }) => Math.round((factor * hours(long) * 100) / (30 * 24)))
  expect(spent).toEqual([2, 5, 10, 10])
})
