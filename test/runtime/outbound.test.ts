// Requests to strangers: to public addresses alone, however they are written and whatever a name leads to.
import { createServer } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endpointUrlOf } from '../../src/modules/webhooks/url.ts'
import { type OutboundOptions, openOutbound } from '../../src/runtime/outbound.ts'
import { isPublicAddress } from '../../src/runtime/public-address.ts'

const notPublic = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '::ffff:0:127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::1',
  '100::1',
  '2001::1',
  '2001:db8::1',
  '2002:7f00:1::',
  '3fff::1',
  'fc00::1',
  'fd12:3456::1',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  'example.com',
  '',
]

describe('an address', () => {
  it.each(notPublic)('%s is not public', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each(['1.1.1.1', '8.8.8.8', '93.184.216.34', '172.15.0.1', '172.32.0.1', '2606:4700::1111', '2a00:1450::1'])(
    '%s is public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )
})

const production = { publicOnly: true, ports: [443, 8443] }

describe('a URL outside the development profile', () => {
  it.each([
    'http://example.com/',
    'ftp://example.com/',
    'https://user:secret@example.com/',
    'https://user@example.com/',
    'https://example.com:22/',
    'https://example.com:80/',
    'https://example.com:8080/',
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0177.0.0.1/',
    'https://0/',
    'https://10.1/',
    'https://[::1]/',
    'https://[::ffff:7f00:1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[fe80::1]/',
    'https://169.254.169.254/latest/meta-data/',
    'https://１２７.0.0.1/',
    'https://localhost/',
    'https://localhost./',
    'https://a.localhost/',
    'https://printer.local/',
    'https://metadata.google.internal/',
    'https://db/',
    'not a url',
    '//example.com/',
    '',
  ])('%s is refused', (url) => {
    expect(endpointUrlOf(url, production)).toMatchObject({ code: 'url_not_allowed' })
  })

  it.each([
    ['https://example.com/hook?x=1', 'https://example.com/hook?x=1'],
    ['https://EXAMPLE.com:443', 'https://example.com/'],
    ['https://example.com:8443/#part', 'https://example.com:8443/'],
    ['https://8.8.8.8/', 'https://8.8.8.8/'],
    ['https://[2606:4700::1111]/', 'https://[2606:4700::1111]/'],
  ])('%s is taken', (url, called) => {
    expect(endpointUrlOf(url, production)).toBe(called)
  })

  it('may have a port that the operator allows', () => {
    expect(endpointUrlOf('https://example.com:9000/', { publicOnly: true, ports: [443, 9000] })).toBe(
      'https://example.com:9000/',
    )
  })
})

describe('in the development profile a URL', () => {
  it('may be http and loopback, and still holds no credentials', () => {
    const development = { publicOnly: false, ports: [] }
    expect(endpointUrlOf('http://127.0.0.1:3000/x', development)).toBe('http://127.0.0.1:3000/x')
    expect(endpointUrlOf('http://a:b@127.0.0.1/', development)).toMatchObject({ code: 'url_not_allowed' })
    expect(endpointUrlOf('file:///etc/passwd', development)).toMatchObject({ code: 'url_not_allowed' })
  })
})

const answers: Record<
  string,
  (respond: { head(status: number, headers?: object): void; write(text: string): boolean; end(): void }) => void
> = {
  '/ok': ({ head, write, end }) => {
    head(200)
    write('fine')
    end()
  },
  '/redirect': ({ head, end }) => {
    head(307, { location: '/ok' })
    end()
  },
  '/later': ({ head, end }) => {
    head(429, { 'retry-after': '120' })
    end()
  },
  '/never': () => {},
  '/trickle': ({ head, write }) => {
    head(200)
    write('slow')
  },
  '/endless': ({ head, write }) => {
    head(200)
    const more = (): void => {
      if (write('x'.repeat(65_536))) setImmediate(more)
    }
    more()
  },
}

describe('a request', () => {
  let requests = 0
  let connections = 0
  let port = 0
  const server = createServer((request, response) => {
    requests++
    request.resume().on('end', () =>
      answers[request.url!]!({
        head: (status, headers) => void response.writeHead(status, headers as Record<string, string>),
        write: (text) => response.write(text),
        end: () => void response.end(),
      }),
    )
  }).on('connection', () => connections++)
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  afterAll(() => {
    server.closeAllConnections()
    server.close()
  })

  async function post(path: string, options: OutboundOptions, host = '127.0.0.1') {
    const outbound = openOutbound(options)
    try {
      return await outbound.post({ url: `http://${host}:${port}${path}`, headers: {}, body: '{}' })
    } finally {
      await outbound.close()
    }
  }
  /** Every name leads there. */
  const leadsTo =
    (addresses: string[]): LookupFunction =>
    (_, options, done) => {
      const found = addresses.map((address) => ({
        address,
        family: address.includes(':') ? 6 : 4,
      }))
      if (options.all) done(null, found)
      else done(null, found[0]!.address, found[0]!.family)
    }

  it('is answered, with what it was told', async () => {
    expect(await post('/ok', { publicOnly: false })).toEqual({
      status: 200,
      answer: 'fine',
      error: null,
      retryAfterMs: undefined,
    })
    expect(await post('/later', { publicOnly: false })).toMatchObject({ status: 429, retryAfterMs: 120_000 })
  })

  it('is not followed to where it is redirected', async () => {
    const before = requests
    expect(await post('/redirect', { publicOnly: false })).toMatchObject({ status: 307 })
    expect(requests).toBe(before + 1)
  })

  it('ends after its time, whether nothing comes or too little', async () => {
    const options = { publicOnly: false, timeoutMs: 200 }
    expect(await post('/never', options)).toMatchObject({ status: null, error: 'timeout' })
    expect(await post('/trickle', options)).toMatchObject({ status: null, error: 'timeout' })
  })

  it('reads no more than 4 KiB of an answer', async () => {
    const found = await post('/endless', { publicOnly: false, timeoutMs: 5_000 })
    expect(found).toMatchObject({ status: 200, answer: 'x'.repeat(4_096) })
  })

  it('tells in a word why there was no answer', async () => {
    expect(await post('/ok', { publicOnly: false, resolve: leadsTo(['127.0.0.2']) }, 'nobody.test')).toMatchObject({
      error: 'ECONNREFUSED',
    })
  })

  it('to a literal private address, or a name that leads to one, makes no connection', async () => {
    const before = connections
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0']) {
      expect(await post('/ok', { publicOnly: true }, host)).toMatchObject({
        status: null,
        error: 'address_not_allowed',
      })
    }
    for (const found of [['127.0.0.1'], ['::ffff:127.0.0.1'], ['8.8.8.8', '127.0.0.1'], ['0.0.0.0'], []]) {
      const options = { publicOnly: true, resolve: leadsTo(found) }
      expect(await post('/ok', options, 'trap.test')).toMatchObject({ status: null, error: 'address_not_allowed' })
    }
    expect(connections).toBe(before)
  })

  it('to a name that is rebound after the first look is judged by what it is connected to', async () => {
    // 127.0.0.1 stands for a public address here, and 127.0.0.2, to which nothing may go, for a private one.
    const lets = (address: string) => address === '127.0.0.1'
    let leads = '127.0.0.1'
    const resolve: LookupFunction = (host, options, done) => leadsTo([leads])(host, options, done)
    const outbound = openOutbound({ publicOnly: true, lets, resolve })
    const send = (path: string) => outbound.post({ url: `http://rebound.test:${port}${path}`, headers: {}, body: '{}' })
    expect(await send('/ok')).toMatchObject({ status: 200 })
    leads = '127.0.0.2'
    const found = await Promise.all(Array.from({ length: 4 }, () => send('/ok'))) // more than there are connections
    expect(found.filter(({ status }) => status === null).length).toBeGreaterThanOrEqual(3)
    expect(found.every(({ status, error }) => status === 200 || error === 'address_not_allowed')).toBe(true)
    await outbound.close()
  })
})
