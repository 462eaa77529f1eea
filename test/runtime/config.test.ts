// What `holdfast start` accepts, and that a wrong value is one sentence that names it.
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  configFlags,
  environmentName,
  isLoopback,
  optionTable,
  readConfig,
  variableTable,
} from '../../src/runtime/config.ts'
import { optionsHelp, optionsPage } from '../../src/runtime/config-pages.ts'
import { checkStandbys, type Server, whyNoGate, whyNot } from '../../src/runtime/preflight.ts'
import { StartFailure } from '../../src/runtime/start-failure.ts'
import { createDatabase } from '../support/postgres.ts'

const problem = (args: string[], environment: Record<string, string> = {}): string => {
  try {
    readConfig(args, environment)
  } catch (error) {
    if (error instanceof StartFailure && error.code === 'usage') return error.message
    throw error
  }
  return ''
}

describe('the configuration', () => {
  test('has a default for everything that is needed', () => {
    expect(readConfig([], {})).toMatchObject({
      port: 8080,
      host: '127.0.0.1',
      data: '.holdfast',
      databaseUrl: undefined,
      profile: 'development',
      cells: ['eu1', 'us1', 'ap1'],
      jsonLogs: false,
    })
  })

  test('runs three cells in development, and one where each would need more than a folder, unless they are named', () => {
    expect(readConfig(['--database-url=postgres://me@there/shop'], {}).cells).toEqual(['eu1'])
    expect(readConfig(['--profile=production'], {}).cells).toEqual(['eu1'])
    expect(readConfig(['--profile=production', '--cells=us1,us2', '--topology=t.json'], {}).cells).toEqual([
      'us1',
      'us2',
    ])
  })

  test('takes a flag before its variable, and its variable before the default', () => {
    expect(readConfig(['--port', '1234'], { HOLDFAST_PORT: '99' }).port).toBe(1234)
    expect(readConfig([], { HOLDFAST_PORT: '99' }).port).toBe(99)
    expect(readConfig([], { HOLDFAST_PORT: '' }).port).toBe(8080)
    expect(readConfig(['--json-logs'], {}).jsonLogs).toBe(true)
    expect(readConfig([], { HOLDFAST_JSON_LOGS: 'true' }).jsonLogs).toBe(true)
  })

  test('reads the same again from the flags that it passes on', () => {
    const config = readConfig(
      ['--port=1', '--data=/a b', '--profile=production', '--host=::', '--lanes=3', '--json-logs', '--cell-key=/k'],
      { HOLDFAST_TOPOLOGY: '/t.json' },
    )
    expect(readConfig(configFlags(config), {})).toEqual(config)
    const slow = readConfig(['--latency', '80ms'], {})
    expect(slow.latencyMs).toBe(80)
    expect(readConfig(configFlags(slow), {})).toEqual(slow)
    const traceLink = 'http://127.0.0.1:16686/trace/{trace_id}'
    const tracing = ['--otlp-endpoint=http://collector:4318', '--trace-ratio=0.5', `--trace-link=${traceLink}`]
    const traced = readConfig(tracing, {})
    expect(traced).toMatchObject({ otlpEndpoint: 'http://collector:4318', traceRatio: 0.5, traceLink })
    expect(readConfig(configFlags(traced), {})).toEqual(traced)
  })

  test('sends traces where OpenTelemetry’s own variable says, unless ours or the flag says another place', () => {
    const theirs = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://theirs:4318' }
    const ours = { ...theirs, HOLDFAST_OTLP_ENDPOINT: 'http://ours:4318' }
    expect(readConfig([], {})).toMatchObject({ otlpEndpoint: undefined, traceRatio: 0.01 })
    expect(readConfig([], theirs).otlpEndpoint).toBe('http://theirs:4318')
    expect(readConfig([], ours).otlpEndpoint).toBe('http://ours:4318')
    expect(readConfig(['--otlp-endpoint=http://flag:4318'], ours).otlpEndpoint).toBe('http://flag:4318')
    expect(problem([], { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' })).toMatch(/^OTEL_EXPORTER_OTLP_ENDPOINT must look/)
    expect(problem(['--otlp-endpoint=http://me:secret@there'])).not.toContain('secret')
  })

  test.each([
    [['--port=80a'], /^--port must be a whole number from 0 to 65535, not "80a"/],
    [['--port=65536'], /^--port/],
    [['--port=-1'], /port/],
    [['--port'], /port/],
    [['--lanes=0'], /^--lanes/],
    [['--profile=prod'], /^--profile must be one of development, production/],
    [['--cells=EU'], /^--cells/],
    [['--cells=eu1,eu1'], /^--cells names a cell twice/],
    [['--cells=eu1,us1', '--database-url=postgres://a/b'], /--database-url takes one cell/],
    [['--cell-key=a', '--cells=eu1,us1'], /^--cell-key is of one cell/],
    [['--profile=production', '--cells=eu1,us1'], /told of each other by --topology/],
    [['--latency=fast'], /^--latency must be like 80ms/],
    [['--latency=1000000'], /^--latency must be like 80ms, up to 10000ms/],
    [['--latency=80ms', '--profile=production'], /^--latency is for the development profile/],
    [['--database-url=mysql://a/b'], /^--database-url must look like/],
    [['--database-url=postgres://a'], /^--database-url names no database/],
    [['--host=10.0.0.1'], /loopback only/],
    [['--webhook-ports=80'], /^--webhook-ports must be 443 or ports above 1024/],
    [['--webhook-ports=443,'], /^--webhook-ports/],
    [['--webhook-ports=65536'], /^--webhook-ports/],
    [['--trace-ratio=2'], /^--trace-ratio must be a number from 0 to 1/],
    [['--trace-link=http://127.0.0.1:16686/trace/'], /^--trace-link must look like .*\{trace_id\}/],
    [['--trace-link=javascript:alert({trace_id})'], /^--trace-link must look like/],
    [['--otlp-endpoint=grpc://there:4317'], /^--otlp-endpoint must look like/],
    [['extra'], /extra/],
    [['--nope'], /Unknown option '--nope'/],
  ])('refuses %j in one line', (args, line) => {
    expect(problem(args)).toMatch(line)
    expect(problem(args)).not.toContain('\n')
  })

  test('names the variable when that is what is wrong, and never shows a password', () => {
    expect(problem([], { HOLDFAST_PORT: 'x' })).toMatch(/^HOLDFAST_PORT/)
    expect(problem(['--database-url=mysql://me:secret@a/b'])).not.toContain('secret')
  })

  test('offers Stripe when its key and its webhook secret are set, and shows neither', () => {
    const both = { HOLDFAST_STRIPE_SECRET_KEY: 'sk_test_1', HOLDFAST_STRIPE_WEBHOOK_SECRET: 'whsec_1' }
    expect(readConfig([], {}).stripe).toBeNull()
    expect(readConfig([], both).stripe).toEqual({
      secretKey: 'sk_test_1',
      webhookSecret: 'whsec_1',
      apiBase: 'https://api.stripe.com',
    })
    expect(problem([], { ...both, HOLDFAST_STRIPE_SECRET_KEY: '' })).toMatch(/set together/)
    expect(problem([], { ...both, HOLDFAST_STRIPE_SECRET_KEY: 'pk_test_1' })).toMatch(/secret or restricted key/)
    expect(problem([], { ...both, HOLDFAST_STRIPE_SECRET_KEY: 'pk_test_1' })).not.toContain('pk_test')
    expect(problem([], { ...both, HOLDFAST_STRIPE_WEBHOOK_SECRET: 'secret' })).toMatch(/whsec_/)
    expect(problem([], { ...both, HOLDFAST_STRIPE_SECRET_KEY: 'sk_live_1' })).toMatch(/test keys only/)
    expect(problem(['--stripe-secret-key=sk_test_1'])).toMatch(/Unknown option/)
  })

  test.each([
    ['https://api.stripe.com', ''],
    ['http://127.0.0.1:4242', ''],
    ['http://api.stripe.com', 'must be https, or http on loopback'],
    ['ftp://127.0.0.1', 'must be https, or http on loopback'],
    ['https://a/v1', 'must look like'],
    ['stripe', 'must look like'],
  ])('asks Stripe at %s or says why not', (apiBase, why) => {
    const variables = { HOLDFAST_STRIPE_SECRET_KEY: 'sk_test_1', HOLDFAST_STRIPE_WEBHOOK_SECRET: 'whsec_1' }
    expect(problem([], { ...variables, HOLDFAST_STRIPE_API_BASE: apiBase })).toContain(why)
  })

  test('knows loopback', () => {
    expect(['127.0.0.1', '127.8.8.8', '::1', 'localhost'].every(isLoopback)).toBe(true)
    expect(['0.0.0.0', '::', '10.0.0.1', 'localhost.example.com', '127.0.0.1.example.com'].some(isLoopback)).toBe(false)
  })

  test('tells every option in the help and on the page', async () => {
    for (const { flag } of optionTable) {
      expect(optionsHelp()).toContain(`--${flag}`)
      expect(optionsPage()).toContain(environmentName(flag))
    }
    for (const { name } of variableTable) {
      expect(optionsHelp()).toContain(name)
      expect(optionsPage()).toContain(name)
    }
    expect(await readFile('docs/generated/CONFIG.md', 'utf8')).toBe(optionsPage())
  })
})

describe('a database of a geo cell is refused', () => {
  const good = { names: '"us"', commits: 'local', maySee: true }

  test.each([
    [{}, ''],
    [{ names: ' ' }, 'set synchronous_standby_names'],
    [{ maySee: false }, 'grant it pg_monitor'],
    [{ commits: 'on' }, 'synchronous_commit = local'],
  ])('for want of %o', (change, line) => {
    expect(whyNoGate({ ...good, ...change }, 'there')?.message ?? '').toContain(line)
  })

  test('when nobody stands by', async () => {
    await expect(checkStandbys(await createDatabase())).rejects.toMatchObject({
      name: 'StartFailure',
      code: 'not_durable',
      message: expect.stringContaining('synchronous_standby_names'),
    })
  })
})

describe('a database is refused', () => {
  const good: Server = {
    version: '14.0',
    versionNumber: 140_000,
    standby: false,
    readOnly: false,
    durability: { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' },
  }

  test('never when it is 14 or newer, writable and durable', () => {
    expect(whyNot(good, 'there')).toBeUndefined()
    expect(
      whyNot({ ...good, durability: { ...good.durability, synchronous_commit: 'remote_apply' } }, 'there'),
    ).toBeUndefined()
  })

  test.each([
    [{ versionNumber: 130_016, version: '13.16' }, 'version_mismatch', /13\.16; Holdfast needs 14/],
    [{ standby: true }, 'database_unreachable', /is a standby/],
    [{ readOnly: true }, 'database_unreachable', /read-only/],
    [{ durability: { ...good.durability, fsync: 'off' } }, 'not_durable', /fsync = off/],
    [{ durability: { ...good.durability, full_page_writes: 'off' } }, 'not_durable', /full_page_writes = off/],
    [{ durability: { ...good.durability, synchronous_commit: 'off' } }, 'not_durable', /synchronous_commit = off/],
  ])('for %j', (change, code, line) => {
    const failure = whyNot({ ...good, ...change }, 'there')
    expect(failure?.code).toBe(code)
    expect(failure?.message).toMatch(line)
  })
})
