// The files of deploy/observability that nothing here can run: that they are YAML, name files and services that there are, and are
// what Prometheus takes where it is Prometheus'.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { findPrograms } from '../support/programs.ts'
import { promtool } from '../support/prometheus.ts'
import { listFiles, readText, repository } from '../tidy/sources.ts'

const folder = 'deploy/observability'
const files = listFiles().filter((path) => path.startsWith(`${folder}/`) && path.endsWith('.yml'))

type Service = { image: string; volumes?: string[]; ports?: string[]; depends_on?: string[] }
const compose = parse(readText(`${folder}/compose.yml`)) as {
  services: Record<string, Service>
  volumes: Record<string, object>
}
const services = Object.entries(compose.services)
const mounts = services.flatMap(([name, { volumes = [] }]) =>
  volumes.map((volume) => ({ name, source: volume.split(/:(?=\/)/)[0]! })),
)

test.each(files)('%s is YAML', (path) => {
  expect(parse(readText(path))).toBeInstanceOf(Object)
})

test('the broken is found to be broken', () => {
  expect(() => parse('a: [1, 2')).toThrow()
})

describe('the Compose file', () => {
  test('mounts only files that there are, and volumes that it declares', () => {
    for (const { name, source } of mounts) {
      if (source.startsWith('${')) continue // a folder of the operator's
      const isThere = source.startsWith('./') ? existsSync(join(repository, folder, source)) : source in compose.volumes
      expect(isThere, `${name}: ${source}`).toBe(true)
    }
    expect(mounts.filter(({ source }) => source.startsWith('./')).length).toBeGreaterThan(5)
  })

  test('names images by version, services that there are, and listens on loopback alone', () => {
    for (const [name, { image, ports = [], depends_on = [] }] of services) {
      expect(image, name).toMatch(/:v?\d+\.\d+\.\d+$/)
      for (const port of ports) expect(port, name).toMatch(/^127\.0\.0\.1:/)
      for (const other of depends_on) expect(compose.services, name).toHaveProperty(other)
    }
  })

  test('mounts every dashboard that is generated', () => {
    const made = listFiles().filter((path) => /^deploy\/observability\/grafana\/[^/]+\.json$/.test(path))
    expect(made.length).toBeGreaterThan(0)
    for (const path of made) expect(mounts.map(({ source }) => `${folder}/${source.slice(2)}`)).toContain(path)
  })
})

test.skipIf(!findPrograms('prometheus', 'promtool'))('Prometheus takes its configuration', () => {
  const { code, output } = promtool(['check', 'config', 'prometheus.yml'], join(repository, folder, 'prometheus'))
  expect(output).toContain('SUCCESS')
  expect(code).toBe(0)
})
