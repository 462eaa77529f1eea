// A real Prometheus scrapes two real cells and evaluates the rules that are generated: what a rule or a dashboard reads is there.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { burns, objectives, symptoms } from '../../deploy/observability/objectives.ts'
import { createClient } from '../../sdk/src/client.ts'
import { lineOf, paidOrder, stocked } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { makeDataFolder, type Running, startHoldfast } from '../support/holdfast.ts'
import { findPrograms } from '../support/programs.ts'
import { type Prometheus, startPrometheus } from '../support/prometheus.ts'
import { readText, repository } from '../tidy/sources.ts'

const deadlineMs = 60_000
const nowhere = 'http://127.0.0.1:9' // spans are made, and lost

describe.skipIf(!findPrograms('prometheus', 'promtool'))('Prometheus beside two cells', { timeout: 150_000 }, () => {
  let folder: Awaited<ReturnType<typeof makeDataFolder>>
  let run: Running
  let prometheus: Prometheus

  beforeAll(async () => {
    folder = await makeDataFolder()
    run = await startHoldfast([
      `--data=${folder.data}`,
      '--log-level=fatal',
      '--cells=eu1,us1',
      `--otlp-endpoint=${nowhere}`,
    ])
    const client = createClient({ url: run.url, key: 'sk_dev' })
    const { topology } = await client.cells.list()
    prometheus = await startPrometheus({
      global: { scrape_interval: '1s', evaluation_interval: '1s', external_labels: { runbooks: 'docs/runbooks' } },
      rule_files: [join(repository, 'deploy/observability/prometheus/rules.yml')],
      scrape_configs: [
        { job_name: 'holdfast', static_configs: [{ targets: topology.cells.map(({ url }) => new URL(url).host) }] },
      ],
    })
    const sku = await stocked(client, 100_000)
    for (const payment of [{ provider: 'none' as const }, { provider: 'test' as const, method: 'tok_ok' }])
      await client.orders.place({ ...paidOrder(lineOf(sku)), payment })
    await client.audit({ fresh: true })
  }, 120_000)
  afterAll(async () => {
    await prometheus?.stop()
    run?.interrupt()
    await run?.ended
    await folder?.remove()
  })

  const query = async (expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> => {
    const { status, data, error } = await prometheus.get(`/api/v1/query?query=${encodeURIComponent(expr)}`)
    if (status !== 'success') throw new Error(`${expr}: ${error}`)
    return data.result
  }
  const hasData = (expr: string) => eventually(async () => (await query(expr)).length > 0, deadlineMs)

  test('reaches all of them', async () => {
    await eventually(async () => (await query('up{job="holdfast"} == 1')).length === 2, deadlineMs)
  })

  test('evaluates every rule without an error', async () => {
    const rules = async () => {
      const { data } = await prometheus.get('/api/v1/rules')
      return data.groups.flatMap(({ rules: found }: { rules: { health: string; lastError?: string }[] }) => found)
    }
    const made = readText('deploy/observability/prometheus/rules.yml').match(/- (alert|record):/g)!.length
    await eventually(async () => {
      const found = await rules()
      const ill = found.find(({ health }: { health: string }) => health === 'err')
      if (ill) throw new Error(ill.lastError)
      return found.length === made && found.every(({ health }: { health: string }) => health === 'ok')
    }, deadlineMs)
  })

  test('finds data for every series that a rule reads', async () => {
    const client = createClient({ url: run.url, key: 'sk_dev' })
    const sku = await stocked(client, 100_000)
    // A rate is one of what has risen between two scrapes, so there is traffic while it is asked.
    await eventually(async () => {
      await client.orders.place({ ...paidOrder(lineOf(sku)), payment: { provider: 'test', method: 'tok_ok' } })
      await client.audit({ fresh: true })
      const found = await query('sum by (objective) (rate(holdfast_objective_events_total[5m])) > 0')
      return found.length === objectives.length
    }, deadlineMs)
    for (const { long, short } of burns)
      for (const window of [short, long])
        for (const { name } of objectives)
          await hasData(`holdfast:objective_errors:ratio_rate${window}{objective="${name}"}`)
    // What counts faults has no series before the first; what does not is there.
    const sinceTheFirst = new Set(['holdfast_http_refused_total', 'holdfast_cells_claimed_twice_total'])
    for (const name of symptoms.flatMap(({ expr }) => seriesIn(expr)))
      if (!sinceTheFirst.has(name)) await hasData(name)
      else expect(await metricNames(), name).toContain(name)
  })

  test('every panel of every dashboard asks for series that a cell has', async () => {
    const known = new Set(await metricNames())
    const recorded = readText('deploy/observability/prometheus/rules.yml')
    for (const file of readdirSync(join(repository, 'deploy/observability/grafana')).filter((one) =>
      one.endsWith('.json'),
    )) {
      const { panels } = JSON.parse(readText(`deploy/observability/grafana/${file}`))
      for (const { title, targets } of panels as { title: string; targets: { expr: string }[] }[])
        for (const name of targets.flatMap(({ expr }) => seriesIn(expr))) {
          const bare = name.replace(/_(bucket|sum|count)$/, '')
          const isThere = known.has(name) || known.has(bare) || recorded.includes(`record: ${name}\n`)
          expect(isThere, `${file}, ${title}: ${name}`).toBe(true)
        }
    }
  })

  test('keeps the trace of a request as an exemplar of its time', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const headers = { authorization: 'Bearer sk_dev', traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
    await fetch(`${run.url}/v1/orders?limit=1`, { headers })
    const asked = encodeURIComponent(
      'histogram_quantile(0.99, rate(holdfast_http_seconds_bucket{route="/v1/orders"}[5m]))',
    )
    await eventually(async () => {
      const now = Date.now() / 1000
      const { data } = await prometheus.get(`/api/v1/query_exemplars?query=${asked}&start=${now - 600}&end=${now + 60}`)
      return data.some((one: { exemplars: { labels: { trace_id: string } }[] }) =>
        one.exemplars.some(({ labels }) => labels.trace_id === traceId),
      )
    }, deadlineMs)
  })

  test('no alert fires while all is well', async () => {
    expect(await query('ALERTS{alertstate="firing"}')).toEqual([])
  })

  const metricNames = async (): Promise<string[]> => {
    const text = await (await fetch(`${run.url}/metrics`)).text()
    return [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
  }
})

/** Names of metrics in an expression. */
const seriesIn = (expr: string): string[] => [
  ...new Set(expr.match(/\b((holdfast|nodejs|process)[_:][a-zA-Z0-9_:]+|up)\b(?!\s*=)/g) ?? []),
]
