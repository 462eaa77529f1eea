// What a cell knows of the others, over real HTTP and through gaps that close, fall silent and open again.
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { refused } from '../../src/base/result.ts'
import { addMs } from '../../src/base/time.ts'
import { Overloaded } from '../../src/runtime/batch.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { RefusedRequest } from '../../src/runtime/http.ts'
import { PeerRefused, PeerUnreachable } from '../../src/runtime/peer-requests.ts'
import { signedHeaders } from '../../src/runtime/peer-signature.ts'
import { randomUuid } from '../../src/runtime/random.ts'
import { eventually } from '../support/eventually.ts'
import { openPeerCells, type PeerCell, type PeerCellOptions } from '../support/peer-cells.ts'

const opened: PeerCell[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((cell) => cell.stop()))
})

const eu1 = 'eu1' as CellName
const us1 = 'us1' as CellName
const soon = { deadlineMs: 2_000 }

async function open(options: PeerCellOptions): Promise<PeerCell[]> {
  const cells = await openPeerCells(options)
  opened.push(...cells)
  return cells
}

/** Two that have heard of each other. */
async function openPair(options: Omit<PeerCellOptions, 'names'> = {}): Promise<[PeerCell, PeerCell]> {
  const [eu, us] = (await open({ ...options, names: ['eu1', 'us1'] })) as [PeerCell, PeerCell]
  await eventually(() => eu.peers.rttMs(us1) > 0 && us.peers.rttMs(eu1) > 0)
  return [eu, us]
}

const echo = { echo: async (from: CellName, body: unknown) => ({ from, body }) as never }
const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => expect.unreachable('it was answered'),
    (error) => error,
  )

describe('a cell that hears nobody', () => {
  it('knows so after a while, and at once when one is heard again', async () => {
    const [eu, us, ap] = await open({ names: ['eu1', 'us1', 'ap1'] })
    await eventually(() => eu!.peers.rttMs(us1) > 0)
    expect(eu!.peers.hearsNobody(1_000)).toBe(false)
    await us!.stop()
    await eventually(() => !eu!.peers.isUp(us1))
    expect(eu!.peers.hearsNobody(1_000)).toBe(false) // there is ap1
    for (const gap of [eu!.gap, ap!.gap]) await gap.set('closed')
    await eventually(() => eu!.peers.hearsNobody(1_000))
    await eu!.gap.set('open') // ap1 greets it, and is not reached itself
    await eventually(() => !eu!.peers.hearsNobody(1_000))
  })

  it('is not the one that is alone', async () => {
    const [eu] = await open({ names: ['eu1'] })
    expect(eu!.peers.hearsNobody(1_000)).toBe(false)
  })
})

describe('a topology in which a cell is removed', () => {
  it('is not taken from another while that cell speaks, and is when it has gone', async () => {
    const [eu, us, ap] = (await open({ names: ['eu1', 'us1', 'ap1'] })) as [PeerCell, PeerCell, PeerCell]
    await eventually(() => [us1, 'ap1' as CellName].every((cell) => eu.peers.rttMs(cell) > 0))
    const { version, ...more } = eu.topology()
    const cells = more.cells.map((cell) => (cell.name === 'ap1' ? { ...cell, state: 'removed' as const } : cell))
    await ap.gap.set('closed') // so that us1 does not bring it there
    us.offer({ ...more, version: version + 1, by: us1, cells })
    await eventually(() => eu.logged.includes('a topology that is refused'))
    expect(eu.topology().version).toBe(version)
    await ap.stop()
    await eventually(() => eu.topology().version === version + 1)
  })
})

describe('a call to a peer', () => {
  it('is answered by its handler, which knows who asks', async () => {
    const [eu] = await openPair({ handlers: () => echo })
    expect(await eu.peers.call(us1, 'echo', { a: [1, 'ü'] }, soon)).toEqual({ from: 'eu1', body: { a: [1, 'ü'] } })
  })

  it.each([
    ['refuses', 422, 'sku_not_found', async () => Promise.reject(new RefusedRequest(refused('sku_not_found')))],
    ['is full', 503, 'overloaded', async () => Promise.reject(new Overloaded('full'))],
    ['is broken', 500, 'internal', async () => Promise.reject(new Error('a bug'))],
  ])('whose handler %s is a refusal, and the peer stays up', async (_, status, code, fail) => {
    const [eu] = await openPair({ handlers: () => ({ fail }) })
    expect(await failure(eu.peers.call(us1, 'fail', null, soon))).toMatchObject({ cell: us1, status, code })
    expect(await failure(eu.peers.call(us1, 'unheard_of', null, soon))).toBeInstanceOf(PeerRefused)
    expect(eu.peers.isUp(us1)).toBe(true)
  })

  it('whose handler is slow may have happened, and says nothing against the peer when it was in a hurry', async () => {
    const [eu] = await openPair({
      handlers: () => ({ slow: async (_, __, signal) => void (await systemClock.sleep(60_000, signal)) as never }),
    })
    for (let count = 0; count < 3; count++) {
      const error = await failure(eu.peers.call(us1, 'slow', null, { deadlineMs: 20 }))
      expect(error).toMatchObject({ mayHaveHappened: true, isLate: true })
    }
    expect(eu.peers.isUp(us1)).toBe(true)
  })

  it('that is late again is not made for a while, and other messages are', async () => {
    const late = async (_: CellName, __: unknown, signal: AbortSignal) =>
      void (await systemClock.sleep(60_000, signal)) as never
    let isLate = true
    const ask = async (...how: Parameters<typeof late>) => (isLate ? late(...how) : 'answered')
    const [eu] = await openPair({ handlers: () => ({ ...echo, ask }) })
    const patient = { deadlineMs: 250 }
    for (let count = 0; count < 2; count++)
      expect(await failure(eu.peers.call(us1, 'ask', null, patient))).toMatchObject({ isLate: true })
    isLate = false
    expect(await failure(eu.peers.call(us1, 'ask', null, patient))).toMatchObject({ mayHaveHappened: false })
    expect(eu.peers.isUp(us1)).toBe(true)
    await eu.peers.call(us1, 'echo', null, patient)
    await eventually(() =>
      eu.peers.call(us1, 'ask', null, patient).then(
        (answer) => answer === 'answered',
        () => false,
      ),
    )
  })

  it('ends when nobody waits for it any more, at the peer too', async () => {
    const ended = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const wait = async (_: CellName, __: unknown, signal: AbortSignal) => {
      signal.addEventListener('abort', () => ended.resolve())
      begun.resolve()
      await ended.promise
      return null
    }
    const [eu] = await openPair({ handlers: () => ({ wait }) })
    const left = new AbortController()
    const call = failure(eu.peers.call(us1, 'wait', null, { deadlineMs: 20_000, signal: left.signal }))
    await begun.promise
    left.abort()
    expect(await call).toBeInstanceOf(PeerUnreachable)
    await ended.promise
  })

  it('takes as long as it is told to, for development', async () => {
    const [eu] = await openPair({ handlers: () => echo, latencyMs: 80 })
    const sinceMs = performance.now()
    await eu.peers.call(us1, 'echo', null, soon)
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(78)
    expect(eu.peers.rttMs(us1)).toBeGreaterThanOrEqual(78)
  })
})

describe('a peer', () => {
  it('that cannot be connected to is down and costs nothing, until it answers a greeting', async () => {
    const [eu, us] = await openPair({ handlers: () => echo })
    await us.gap.set('closed')
    await eventually(() => !eu.peers.isUp(us1))
    expect(us.peers.isUp(eu1)).toBe(true)
    const error = await failure(eu.peers.call(us1, 'echo', null, soon))
    expect(error).toMatchObject({ cell: us1, mayHaveHappened: false })
    await us.gap.set('open')
    await eventually(() => eu.peers.isUp(us1))
    await eu.peers.call(us1, 'echo', null, soon)
    expect(eu.logged).toEqual(['a peer is down', 'a peer is back'])
  })

  it('whose database does not answer is down until it does, and is not waited for meanwhile', async () => {
    const begun = Promise.withResolvers<void>()
    const ask = async (_: CellName, __: unknown, signal: AbortSignal) => {
      begun.resolve()
      await systemClock.sleep(60_000, signal)
      return null
    }
    const [eu, us] = await openPair({ handlers: () => ({ ask }) })
    const waiting = failure(eu.peers.call(us1, 'ask', null, { deadlineMs: 60_000 }))
    await begun.promise
    us.isWell = false
    expect(await waiting).toBeInstanceOf(PeerUnreachable)
    expect([eu.peers.isUp(us1), us.peers.isUp(eu1)]).toEqual([false, true])
    us.isWell = true
    await eventually(() => eu.peers.isUp(us1))
  })

  it('that takes connections but never answers is down too', async () => {
    const [eu, us] = await openPair({ handlers: () => echo })
    await us.gap.set('silent')
    expect(await failure(eu.peers.call(us1, 'echo', null, { deadlineMs: 100 }))).toMatchObject({
      mayHaveHappened: true,
    })
    await eventually(() => !eu.peers.isUp(us1))
    us.gap.cut()
    await us.gap.set('open')
    await eventually(() => eu.peers.isUp(us1))
  })

  it('is told with its distance, its clock and when it was heard of', async () => {
    const clockOf = (name: CellName) =>
      name === us1 ? { ...systemClock, now: () => addMs(systemClock.now(), 5_000) } : systemClock
    const [eu, us] = await openPair({ clockOf })
    expect(eu.peers.skewMs(us1)).toBeGreaterThan(4_500)
    expect(eu.peers.skewMs(us1)).toBeLessThan(5_500)
    expect(us.peers.skewMs(eu1)).toBeLessThan(-4_500)
    expect(systemClock.now() - eu.peers.lastHeardAt(us1)!).toBeLessThan(5_000)
    expect(eu.peers.lastHeardAt('xx1' as CellName)).toBeNull()
    expect(await eu.metricsText()).toMatch(/holdfast_peer_up\{peer="us1"\} 1/)
  })

  it('is asked before those that are further away', async () => {
    const cells = await open({ names: ['eu1', 'us1', 'ap1'] })
    const [eu] = cells as [PeerCell]
    await eventually(() => eu.peers.others().every((name) => eu.peers.rttMs(name) > 0))
    await eventually(() => {
      const rtts = eu.peers.others().map((name) => eu.peers.rttMs(name))
      return rtts[0]! <= rtts[1]!
    })
    expect([...eu.peers.others()].sort()).toEqual(['ap1', 'us1'])
  })
})

describe('greetings', () => {
  it('carry a newer topology to everybody, whoever has it', async () => {
    const cells = await open({ names: ['eu1', 'us1', 'ap1'] })
    const [, us, ap] = cells as [PeerCell, PeerCell, PeerCell]
    us.offer({ ...us.topology(), version: 2, by: us1 })
    await eventually(() => cells.every((cell) => cell.topology().version === 2))
    ap.offer({
      ...ap.topology(),
      version: 3,
      cells: ap.topology().cells.map((c) => (c.name === us1 ? { ...c, state: 'draining' } : c)),
    })
    await eventually(() => cells.every((cell) => cell.topology().cells[1]!.state === 'draining'))
  })

  it('settle which of two topologies of one version counts', async () => {
    const cells = await openPair()
    cells[0].offer({ ...cells[0].topology(), version: 2, zones: [{ name: 'a', regions: ['eu', 'us'] }] })
    cells[1].offer({ ...cells[1].topology(), version: 2, zones: [{ name: 'b', regions: ['eu', 'us'] }] })
    await eventually(() => cells.every((cell) => cell.topology().zones[0]!.name === 'b'))
  })

  it('of a cell that was removed are refused, and it is not greeted', async () => {
    const [eu, us] = await openPair()
    const cells = eu.topology().cells.map((cell) => (cell.name === us1 ? { ...cell, state: 'removed' as const } : cell))
    eu.offer({ ...eu.topology(), version: 2, cells })
    await eventually(() => !us.peers.isUp(eu1))
    expect(eu.peers.others()).toEqual([])
    expect(await failure(eu.peers.call(us1, 'greet', null, soon))).toMatchObject({ mayHaveHappened: false })
  })

  it('of a new life are taken when the old is silent; the old is then refused, and told to the operator', async () => {
    const [eu, us] = await openPair()
    const old = us.incarnation
    us.incarnation = randomUuid()
    const since = { eu: eu.peers.lastHeardAt(us1)!, us: us.peers.lastHeardAt(eu1)! }
    await eventually(() => eu.peers.lastHeardAt(us1)! > since.eu && us.peers.lastHeardAt(eu1)! > since.us)
    expect([...eu.logged, ...us.logged]).toEqual([])
    us.incarnation = old
    await eventually(() => eu.logged.includes('two databases claim to be one cell: stop one of them'))
    await eventually(() => !us.peers.isUp(eu1) && !eu.peers.isUp(us1))
    expect(await eu.metricsText()).toMatch(/holdfast_cells_claimed_twice_total\{peer="us1"\} [1-9]/)
    us.incarnation = randomUuid()
    await eventually(() => us.peers.isUp(eu1) && eu.peers.isUp(us1))
  })
})

describe('what a lost life says once a newer one has greeted', () => {
  const isPresent = (eu: PeerCell, us: PeerCell) => eventually(() => eu.peers.lifeOf(us1) === us.incarnation)

  it('is refused', async () => {
    const [eu, us] = await openPair({ handlers: () => echo })
    const old = us.incarnation
    us.incarnation = randomUuid()
    await isPresent(eu, us)
    expect(await us.peers.call(eu1, 'echo', 1, soon)).toEqual({ from: 'us1', body: 1 })
    us.incarnation = old
    expect(await failure(us.peers.call(eu1, 'echo', 1, soon))).toMatchObject({ code: 'cell_claimed_twice' })
  })

  it('is not taken for an answer, though it was asked before', async () => {
    const [arrived, asked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const slow = async () => {
      arrived.resolve()
      await asked.promise
      return 'of the lost life'
    }
    const [eu, us] = await openPair({ handlers: () => ({ slow }) })
    await isPresent(eu, us)
    const answer = failure(eu.peers.call(us1, 'slow', null, soon))
    await arrived.promise
    us.incarnation = randomUuid()
    await isPresent(eu, us)
    asked.resolve()
    expect(await answer).toMatchObject({ code: 'cell_claimed_twice' })
  })
})

describe('a request to a peer', () => {
  const send = (to: PeerCell, body: string, headers: Record<string, string>) =>
    fetch(`${to.gap.url}/peer/v1/echo`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    })

  const signed = (from: PeerCell, to: PeerCell, body: string) =>
    signedHeaders(
      from.key,
      {
        ...{ method: 'POST', target: '/peer/v1/echo', from: from.name, to: to.name },
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(body),
      },
      systemClock.now(),
    )

  it('that nobody has signed is refused before its body is there, and the connection ends', async () => {
    const [, us] = await openPair({ handlers: () => echo })
    const { hostname, port } = new URL(us.gap.url)
    const socket = connect(Number(port), hostname)
    socket.write(
      'POST /peer/v1/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4000000\r\n\r\n',
    )
    const parts: Buffer[] = []
    for await (const part of socket) parts.push(part)
    expect(Buffer.concat(parts).toString()).toMatch(/^HTTP\/1.1 401 .*peer_signature_invalid/s)
  })

  it('is refused while its cell has too many under way, and its greetings are answered', async () => {
    const enough = Promise.withResolvers<never>()
    const [eu] = await openPair({ servedMax: 2, handlers: () => ({ ...echo, wait: () => enough.promise }) })
    const waiting = [1, 2].map(() => eu.peers.call(us1, 'wait', null, { deadlineMs: 20_000 }))
    const isRefused = () =>
      eu.peers.call(us1, 'echo', 1, soon).then(
        () => false,
        ({ code }) => code === 'overloaded',
      )
    await eventually(isRefused)
    const heardAt = eu.peers.lastHeardAt(us1)!
    await eventually(() => eu.peers.lastHeardAt(us1)! > addMs(heardAt, 1_000))
    expect(eu.peers.isUp(us1)).toBe(true)
    enough.resolve(null as never)
    await Promise.all(waiting)
    await eventually(async () => !(await isRefused()))
  })

  it('is refused without a signature, with another body, and when it comes again', async () => {
    const [eu, us] = await openPair({ handlers: () => echo })
    expect((await send(us, '1', {})).status).toBe(401)
    expect(await (await send(us, '2', signed(eu, us, '1'))).json()).toMatchObject({ code: 'peer_signature_invalid' })
    const headers = signed(eu, us, '1')
    expect((await send(us, '1', headers)).status).toBe(200)
    expect(await (await send(us, '1', headers)).json()).toMatchObject({ code: 'peer_replayed', status: 401 })
    expect(await (await send(us, '1', signed(us, us, '1'))).status).toBe(200)
    expect(await (await send(us, '{', signed(eu, us, '{'))).json()).toMatchObject({ code: 'invalid_json' })
  })

  it('may be no larger than is good for the receiver', async () => {
    const [eu, us] = await openPair({ handlers: () => echo })
    const body = JSON.stringify('x'.repeat(5 * 1024 * 1024))
    expect(await failure(eu.peers.call(us1, 'echo', body, soon))).toBeInstanceOf(Error)
    expect((await send(us, '1', signed(eu, us, '1'))).status).toBe(200)
  })
})
