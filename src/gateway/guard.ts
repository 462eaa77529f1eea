// Who calls, and whether they may: one look at a map for a known key. Also the idempotency key of a request, which a
// storefront's visitors do not share.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Json } from '../base/json.ts'
import { type Refused, refused } from '../base/result.ts'
import type { Keys } from '../modules/shops/service.ts'
import type { Guard, Principal, Scope } from '../modules/shops/types.ts'
import { sendRefused, targetOf } from '../runtime/http.ts'
import { type KeyHashes, keyHashes, keyText, visitorText } from '../runtime/idempotency.ts'

export function createGuard(keys: Keys, elapsedMs: () => number): Guard {
  const visitorOf = (request: FastifyRequest): string | null | Refused =>
    request.principal.kind === 'sk' ? null : visitorText(request.headers['holdfast-visitor'])

  function hashesOf(request: FastifyRequest, key: unknown, target: string, body: Json): KeyHashes | Refused {
    const visitor = visitorOf(request)
    if (visitor !== null && typeof visitor !== 'string') return visitor
    const text = keyText(key, visitor)
    return typeof text === 'string' ? keyHashes(text, target, body) : text
  }

  return {
    allow: (scope) => (request, reply, done) => {
      request.startedAt = elapsedMs()
      const header = request.headers.authorization
      if (header === undefined) return void sendUnauthorized(reply)
      const principal = keys.known(header)
      if (principal) return admit(request, reply, principal, scope, done)
      if (principal === null) return void sendUnauthorized(reply)
      keys
        .find(header)
        .then((found) => (found ? admit(request, reply, found, scope, done) : void sendUnauthorized(reply)), done)
    },
    keyOf: (request) => hashesOf(request, request.headers['idempotency-key'], targetOf(request), request.body as Json),
    keyOfLine: hashesOf,
  }
}

function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  principal: Principal,
  scope: Scope | undefined,
  done: () => void,
): void {
  if (scope !== undefined && !principal.scopes.has(scope)) {
    return void sendRefused(reply, refused('forbidden', `It needs a key with the scope ${scope}.`))
  }
  request.principal = principal
  done()
}

const sendUnauthorized = (reply: FastifyReply): FastifyReply =>
  sendRefused(reply.header('www-authenticate', 'Bearer'), refused('unauthorized'))
