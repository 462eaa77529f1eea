// Words of shops: who sells, the keys they call with, and what a key may do.
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Json } from '../../base/json.ts'
import type { Refused } from '../../base/result.ts'
import type { KeyHashes } from '../../runtime/idempotency.ts'
import type { RiskRules } from '../risk/types.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the guard before anything else is looked at. */
    principal: Principal
  }
}

/** What `sk_` keys may be given; `import` is for orders with a time or amounts of their own. */
export const scopes = [
  'stock:read',
  'stock:write',
  'holds:read',
  'holds:write',
  'orders:read',
  'orders:write',
  'import',
  'events:read',
  'audit:read',
  'ledger:read',
  'ledger:write',
  'settings:read',
  'settings:write',
  'dead-letters:read',
  'dead-letters:write',
  'consumers:read',
  'consumers:write',
  'cells:read',
  'cells:write',
  'webhooks:read',
  'webhooks:write',
] as const
export type Scope = (typeof scopes)[number]

/** What every `pk_` key may do: browse and hold. It orders at catalogue prices, and reads its own order by a secret. */
export const storefrontScopes: readonly Scope[] = ['stock:read', 'holds:read', 'holds:write']

export type KeyKind = 'sk' | 'pk'

/** What orders of the shop are placed under. */
export type ShopTerms = {
  captureRule: 'now' | 'at_shipment'
  reservationMs: number
  authorizationMs: number
  captureLeadMs: number
  atCaptureDeadline: 'capture' | 'cancel'
}

/** Who calls. */
export type Principal = {
  shopId: ShopId
  /** Null for the development keys, which are not stored. */
  keyId: Uuid | null
  kind: KeyKind
  scopes: ReadonlySet<Scope>
  /** Signs an order's id into its client_secret. */
  sign(text: string): string
  /** From the shop's settings, as they were when the key was looked up. */
  terms: ShopTerms
  /** Null when none is on. */
  risk: RiskRules | null
}

/** A key without its text, which is shown once, when it is made. */
export type Key = {
  id: Uuid
  kind: KeyKind
  name: string
  scopes: Scope[]
  createdAt: string
  revokedAt: string | null
}

/** What stands before a route: who calls and whether they may; and the idempotency key of their request. */
export type Guard = {
  /** Without a scope: any valid key; the route itself decides what it shows. */
  allow(scope?: Scope): onRequestHookHandler
  /** Refused: `idempotency_key_required`, `idempotency_key_invalid`, `visitor_required`. */
  keyOf(request: FastifyRequest): KeyHashes | Refused
  /** The same for a line of a bulk request, which has its key inside. */
  keyOfLine(request: FastifyRequest, key: string | undefined, target: string, body: Json): KeyHashes | Refused
}
