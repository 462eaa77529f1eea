// POST /peer/v1/<message>: what cells ask each other. The signature of the headers is looked at before the body is read, and
// the body's digest before it is understood. No part of the public API: docs/PEERS.md tells of it.
import type { FastifyInstance, FastifyReply } from 'fastify'
import { limits } from '../base/limits.ts'
import { refused } from '../base/result.ts'
import { readJson, sendJson, sendRefused } from '../runtime/http.ts'
import { contentDigest, type PeerSender, type PeerVerifier } from '../runtime/peer-signature.ts'
import type { PeerHandlers } from '../runtime/peers.ts'

export type PeerRoutesOptions = { verifier: PeerVerifier; handlers: PeerHandlers; elapsedMs(): number }

declare module 'fastify' {
  interface FastifyRequest {
    /** Who signed it; on the routes between cells only. */
    sender: PeerSender
  }
}

/** In a scope of its own, since its bodies are taken as bytes. */
export function peerRoutes(app: FastifyInstance, { verifier, handlers, elapsedMs }: PeerRoutesOptions): void {
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
        const sender = verifier.senderOf({ method: request.method, target: request.url, headers: request.headers })
        if (!sender.ok) return void sendRefused(reply, sender)
        request.sender = sender.value
        done()
      },
    },
    async (request, reply) => {
      const { sender, body = Buffer.alloc(0), params } = request
      if (contentDigest(body) !== sender.digest) {
        return sendRefused(reply, refused('peer_signature_invalid', 'The body is not the one that was signed.'))
      }
      const handler = handlers.get(params.message)
      if (!handler) return sendRefused(reply, refused('not_found'))
      const parsed = readJson(body)
      if (!parsed.ok) return sendRefused(reply, parsed)
      const answer = await handler(sender.from, parsed.value, endOf(reply))
      return sendJson(reply, 200, JSON.stringify(answer))
    },
  )
}

/** Aborts when the peer has gone or the server drains, so that nobody waits for nobody. */
function endOf(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => left.abort())
  return AbortSignal.any([left.signal, reply.server.exchange.drain])
}
