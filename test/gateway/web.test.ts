// The control room as a cell serves it: its files, the pages that may call the API, and what they are told of their key.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import type { ShopId } from '../../src/base/ids.ts'
import { issueKey } from '../../src/modules/shops/service.ts'
import { type HttpCell, openHttpCell, orderBody, receive } from '../support/http-cell.ts'
import { writing } from '../support/writing.ts'
import { listFiles, readText } from '../tidy/sources.ts'

let folder: string
let cell: HttpCell
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-web-'))
  cell = await openHttpCell({ corsOrigins: ['https://shop.example'] }, { webFolder: join(folder, 'dist') })
})
afterAll(async () => {
  expect(cell.faults).toEqual([])
  await cell.stop()
  await rm(folder, { recursive: true })
})

const html = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
const get = (path: string, headers: Record<string, string> = html) => cell.call('GET', path, { as: null, headers })

/** As it is on the wire: `fetch` unpacks it. */
const rawGet = (path: string, encodings: string) =>
  new Promise<{ encoding: string | undefined; bytes: Buffer }>((resolve, reject) => {
    request(`${cell.url}${path}`, { headers: { 'accept-encoding': encodings } }, async (answer) => {
      const parts: Buffer[] = []
      for await (const part of answer) parts.push(part)
      resolve({ encoding: answer.headers['content-encoding'], bytes: Buffer.concat(parts) })
    })
      .on('error', reject)
      .end()
  })

describe('the control room', () => {
  it('that has not been built says so in plain words, and the API answers all the same', async () => {
    const answer = await get('/')
    expect(answer.status).toBe(503)
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(answer.text).toContain('npm run build:web')
    expect((await get('/readyz')).status).toBe(200)
  })

  it('is served at / and for every path of its own, as soon as it is built', async () => {
    await mkdir(join(folder, 'dist/assets'), { recursive: true })
    await writeFile(join(folder, 'dist/index.html'), '<p>control room</p>')
    await writeFile(join(folder, 'dist/favicon.svg'), '<svg/>')
    await writeFile(join(folder, 'dist/assets/room-A1b2.js'), 'run()')
    await writeFile(join(folder, 'dist/assets/room-A1b2.js.br'), brotliCompressSync('run()'))
    await writeFile(join(folder, 'dist/assets/room-A1b2.js.gz'), gzipSync('run()'))
    for (const path of ['/', '/orders', '/orders/ord_eu1_x', '/stock/A-1?tab=cells', '/dead-letters', '/sign-in']) {
      const answer = await get(path)
      expect([path, answer.status, answer.text]).toEqual([path, 200, '<p>control room</p>'])
      expect(answer.headers.get('cache-control')).toBe('no-cache')
    }
    expect((await get('/favicon.svg', { accept: 'image/*' })).headers.get('content-type')).toMatch(/^image\/svg/)
  })

  it('may be kept for ever by name, packed as the caller takes it', async () => {
    const answer = await get('/assets/room-A1b2.js', {})
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(answer.headers.get('content-type')).toMatch(/^text\/javascript/)
    expect(await rawGet('/assets/room-A1b2.js', 'gzip, br')).toEqual({
      encoding: 'br',
      bytes: brotliCompressSync('run()'),
    })
    expect(await rawGet('/assets/room-A1b2.js', 'gzip, br;q=0')).toEqual({ encoding: 'gzip', bytes: gzipSync('run()') })
    expect(await rawGet('/assets/room-A1b2.js', 'identity')).toEqual({
      encoding: undefined,
      bytes: Buffer.from('run()'),
    })
  })

  it('takes no path of the API, and leads to no file outside of it', async () => {
    await writeFile(join(folder, 'secret.json'), '{}')
    for (const path of [
      '/v1/nothing',
      '/v1',
      '/peer/v1',
      '/assets/none.js',
      '/assets/..%2f..%2fsecret.json',
      '/assets/room-A1b2.js.br',
    ])
      expect([path, (await get(path)).json?.code]).toEqual([path, 'not_found'])
    for (const path of ['/..%2fsecret.json', '/%2e%2e/secret.json', '/.env'])
      expect([path, (await get(path, {})).json?.code]).toEqual([path, 'not_found'])
    expect((await get('/nothing', { accept: 'application/json' })).json).toMatchObject({ code: 'not_found' })
    expect((await cell.call('POST', '/orders', { headers: html })).json).toMatchObject({ code: 'not_found' })
    expect((await get('/v1/stock/adjustments/')).json.code).toBe('not_found')
    expect((await get('/docs')).text).toContain('Holdfast API')
  })

  it('may talk to the cells of the topology, and to nobody else', async () => {
    const { topology } = (await cell.call('GET', '/v1/cells')).json
    for (const path of ['/', '/index.html', '/orders'])
      expect((await get(path)).headers.get('content-security-policy'), path).toContain("frame-ancestors 'none'")
    expect((await get('/index.html', { accept: '*/*' })).status).toBe(404)
    const policy = (await get('/')).headers.get('content-security-policy')!
    expect(policy).toContain(`connect-src 'self' ${topology.cells[0].url}`)
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
  })
})

describe('a page of another origin', () => {
  const from = (origin: string, method = 'GET', more: Record<string, string> = {}) =>
    cell.call(method, '/v1/orders', { key: null, headers: { origin, ...more } })
  const ownOrigin = async () => (await cell.call('GET', '/v1/cells')).json.topology.cells[0].url as string

  it('is answered when it is a cell’s, by whichever name of this machine, or was named', async () => {
    const own = await ownOrigin()
    for (const origin of [own, own.replace('127.0.0.1', 'localhost'), 'https://shop.example']) {
      const answer = await from(origin)
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin)
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
      expect(answer.headers.get('vary')).toBe('origin')
    }
  })

  it('may ask for what the SDK asks for, and read all that it reads', async () => {
    const preflight = await from('https://shop.example', 'OPTIONS', {
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,idempotency-key,holdfast-visitor',
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST')
    const sdk = listFiles().filter((path) => path.startsWith('sdk/src/') && !path.includes('generated'))
    const source = sdk.map(readText).join('\n')
    const sent = [
      ...source.matchAll(/headers(?:\.([a-z]+)|\['([a-z-]+)'\]) = |'(if-match|holdfast-client-secret|last-event-id)'/g),
    ]
    const names = new Set(['authorization', ...sent.map((one) => (one[1] ?? one[2] ?? one[3])!)])
    expect(names.size).toBeGreaterThan(6)
    const allowed = preflight.headers.get('access-control-allow-headers')!.split(', ')
    expect([...names].filter((name) => !allowed.includes(name))).toEqual([])
    const read = [...source.matchAll(/headers\.get\('([a-z-]+)'\)/g)].map(([, name]) => name!)
    const exposed = (await from('https://shop.example')).headers.get('access-control-expose-headers')!.split(', ')
    expect(read.length).toBeGreaterThan(3)
    expect(read.filter((name) => !exposed.includes(name))).toEqual([])
  })

  it('reads refusals, streams and what is answered before anything is read', async () => {
    const refused = await cell.call('GET', '/v1/orders', { as: null, headers: { origin: 'https://shop.example' } })
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, 'https://shop.example'])
    const left = new AbortController()
    const stream = await fetch(`${cell.url}/v1/events`, {
      headers: { authorization: 'Bearer sk_dev', accept: 'text/event-stream', origin: 'https://shop.example' },
      signal: left.signal,
    })
    expect(stream.headers.get('access-control-allow-origin')).toBe('https://shop.example')
    left.abort()
  })

  it('that is a stranger’s is told nothing, nor is anybody who is no page', async () => {
    const stranger = await from('https://evil.example')
    expect(stranger.headers.get('access-control-allow-origin')).toBeNull()
    expect((await from('null')).headers.get('access-control-allow-origin')).toBeNull()
    const preflight = await from('https://evil.example', 'OPTIONS', { 'access-control-request-method': 'POST' })
    expect([preflight.status, preflight.headers.get('access-control-allow-methods')]).toEqual([405, null])
    const program = await cell.call('GET', '/v1/orders')
    expect(program.headers.get('access-control-expose-headers')).toBeNull()
    expect(program.headers.get('vary')).toBeNull()
  })

  it('places an order as a program does', async () => {
    await receive(cell, 'A-1', 1)
    const placed = await cell.call('POST', '/v1/orders', {
      body: orderBody('A-1'),
      headers: { origin: 'https://shop.example' },
    })
    expect([placed.status, placed.headers.get('access-control-allow-origin')]).toEqual([201, 'https://shop.example'])
  })
})

describe('a session', () => {
  it('tells who answers, the shop of the key, and what the key may do', async () => {
    const { json } = await cell.call('GET', '/v1/session')
    expect(json).toMatchObject({
      cell: 'eu1',
      version: manifest.version,
      profile: 'development',
      kind: 'sk',
      trace_link: null,
    })
    expect(json.shop).toEqual({ id: 'default', name: 'default', mode: 'test' })
    expect(json.scopes).toContain('cells:write')
    const wanted = { shopId: 1 as ShopId, kind: 'sk', name: 'eyes', scopes: ['orders:read', 'cells:read'] } as const
    const { text } = await issueKey(cell.database, wanted, writing())
    expect((await cell.call('GET', '/v1/session', { as: text })).json.scopes).toEqual(['orders:read', 'cells:read'])
    expect((await cell.call('GET', '/v1/session', { as: 'pk_dev' })).json.kind).toBe('pk')
    expect((await cell.call('GET', '/v1/session', { as: null })).status).toBe(401)
  })

  it('signs in by itself in the development profile, and nowhere else', async () => {
    const answer = { cell: 'eu1', version: manifest.version }
    expect((await get('/control-room.json')).json).toEqual({
      ...answer,
      profile: 'development',
      development_key: 'sk_dev',
    })
    const real = await openHttpCell({ profile: 'production' })
    const { json } = await real.call('GET', '/control-room.json', { as: null })
    await real.stop()
    expect(json).toEqual({ ...answer, profile: 'production', development_key: null })
  })
})
