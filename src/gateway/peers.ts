// POST /peer/v1/<message>: what cells ask each other. The signature of the headers is looked at before the body is read, and
// the body's digest before it is understood; who sends no good one costs that look and is cut off. No part of the public API: docs/PEERS.md tells of it.
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { type Refused, refused } from '../base/result.ts'
import type { Faults } from '../runtime/faults.ts'
import { readJson, sendJson, sendRefused } from '../runtime/http.ts'
import { lifeHeader, lifeIn } from '../runtime/peer-requests.ts'
import { contentDigest, type PeerSender, type PeerVerifier } from '../runtime/peer-signature.ts'
import type { PeerHandlers } from '../runtime/peers.ts'

export type PeerRoutesOptions = {
  verifier: PeerVerifier
  handlers: PeerHandlers
  elapsedMs(): number
  /** When the other cells have had a say: nothing is listened to before. */
  greeted?: Promise<unknown>
  /** In which life of its database this cell answers, and in which the others are heard. */
  life: { present(): string; hears(from: CellName, life: string | undefined): boolean }
  /** Of one cell, all its processes together. */
  servedMax?: number
  /** For development. */
  faults?: Pick<Faults, 'cutOff'> | undefined
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who signed it; on the routes between cells only. */
    sender: PeerSender
  }
}

/** In a scope of its own, since its bodies are taken as bytes. */
export function peerRoutes(app: FastifyInstance, options: PeerRoutesOptions): void {
  const { verifier, handlers, elapsedMs, life, greeted, servedMax = limits.peerServedMax, faults } = options
  app.addHook('onReady', async () => void (await greeted))
  const served = new Map<CellName, number>()

  /** Greetings are few, and a cell that is busy is not down. */
  function isTooMuch(from: CellName, message: string, reply: FastifyReply): boolean {
    const count = (by: number) => served.set(from, (served.get(from) ?? 0) + by)
    if (message !== 'greet' && (served.get(from) ?? 0) >= servedMax) return true
    count(1)
    reply.raw.once('close', () => count(-1))
    return false
  }

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  app.decorateRequest('sender')
  app.post<{ Params: { message: string }; Body: Buffer | undefined }>(
    '/peer/v1/:message',
    {
      bodyLimit: limits.peerBodyBytesMax,
      schema: { hide: true },
      onRequest(request, reply, done) {
        request.startedAt = elapsedMs()
        if (faults?.cutOff) return cutOff(reply)
        const sender = verifier.senderOf({ method: request.method, target: request.url, headers: request.headers })
        if (!sender.ok) return refuseUnread(reply, sender)
        if (isTooMuch(sender.value.from, request.params.message, reply))
          return refuseUnread(reply, refused('overloaded'))
        request.sender = sender.value
        done()
      },
    },
    async (request, reply) => {
      const { sender, body = Buffer.alloc(0), params } = request
      if (contentDigest(body) !== sender.digest) {
        return sendRefused(reply, refused('peer_signature_invalid', 'The body is not the one that was signed.'))
      }
      // A greeting says which life is the present one. Anything else of another is of what that cell may have forgotten.
      const isHeard = params.message === 'greet' || life.hears(sender.from, lifeIn(request.headers))
      if (!isHeard) return sendRefused(reply, refused('cell_claimed_twice'))
      const handler = handlers.get(params.message)
      if (!handler) return sendRefused(reply, refused('not_found'))
      const parsed = readJson(body)
      if (!parsed.ok) return sendRefused(reply, parsed)
      const said = life.present() // before it is answered: a life that begins meanwhile does not speak for this answer
      const answer = await handler(sender.from, parsed.value, endOf(reply))
      if (faults?.cutOff) return cutOff(reply)
      return sendJson(reply.header(lifeHeader, said), 200, JSON.stringify(answer))
    },
  )
}

/** As by a network that is cut: nothing is answered. */
export const cutOff = (reply: FastifyReply): void => void reply.hijack().raw.destroy()

/** Its body is not waited for. */
const refuseUnread = (reply: FastifyReply, refusal: Refused): void =>
  void sendRefused(reply.header('connection', 'close'), refusal)

/** Aborts when the peer has gone or the server drains, so that nobody waits for nobody. */
function endOf(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => left.abort())
  return AbortSignal.any([left.signal, reply.server.exchange.drain])
}
