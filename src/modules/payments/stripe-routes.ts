// Where Stripe posts its events. There is no key: the signature over the bytes of the body is what proves the sender.
import type { FastifyInstance } from 'fastify'
import Stripe from 'stripe'
import { Type } from 'typebox'
import { refused } from '../../base/result.ts'
import type { Instant } from '../../base/time.ts'
import { sendJson, sendRefused } from '../../runtime/http.ts'
import { documented } from '../../runtime/http-document.ts'
import type { Log } from '../../runtime/log.ts'
import type { Database } from '../../runtime/pg.ts'
import { logFieldsOf } from '../../runtime/request-trace.ts'
import type { Span } from '../../runtime/tracing.ts'
import type { Commands } from '../orders/service.ts'
import type { CommandOutcome, Settle, Submission } from '../orders/types.ts'
import { isKnownEvent, rememberEvent } from './stripe-store.ts'
import type { StripeWebhooks } from './stripe-webhooks.ts'
import { OutcomeUnknown } from './types.ts'

export type StripeRoutesOptions = {
  /** Null when Stripe is not configured. */
  stripeWebhooks: StripeWebhooks | null
  commands: Pick<Commands, 'submit'>
  submissionOf(command: Settle, key: null, now: Instant, span: Span | null): Submission
  database: Pick<Database, 'query' | 'transaction'>
  log: Pick<Log, 'warn'>
  now(): Instant
}

const Received = Type.Object({ received: Type.Literal(true) })

/** In a scope of its own, since its bodies are taken as bytes. */
export function stripeRoutes(app: FastifyInstance, options: StripeRoutesOptions): void {
  const { stripeWebhooks, database, log, now } = options
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  app.post<{ Body: Buffer | undefined }>(
    '/v1/providers/stripe/webhooks',
    {
      schema: documented({
        operationId: 'receiveStripeEvent',
        summary: 'An event of Stripe, as Stripe sends it',
        description:
          'Signed with HOLDFAST_STRIPE_WEBHOOK_SECRET. Taken in once, in any order; types that mean nothing here are answered 200 and ignored.',
        tags: ['payments'],
        open: true,
        headers: { 'stripe-signature': { type: 'string' } },
        answers: { 200: Received },
        refusals: [
          'webhook_signature_invalid',
          'webhook_too_old',
          'invalid_body',
          'body_too_large',
          'unsupported_media_type',
          'not_found',
          'provider_unavailable',
          'overloaded',
          'unavailable',
          'outcome_unknown',
          'draining',
          'internal',
        ],
      }),
    },
    async (request, reply) => {
      const { body, headers } = request
      if (!stripeWebhooks) return sendRefused(reply, refused('not_found'))
      const signature = headers['stripe-signature']
      const event = stripeWebhooks.read(body ?? Buffer.alloc(0), typeof signature === 'string' ? signature : undefined)
      if ('ok' in event) return sendRefused(reply, event)
      if (await isKnownEvent(database, event.id)) return sendJson(reply, 200, received)
      const outcomes = await stripeWebhooks
        .takeIn(event, (commands) => settle(options, commands, request.span))
        .catch((error) => {
          if (error instanceof OutcomeUnknown || error instanceof Stripe.errors.StripeError) return error
          throw error
        })
      if (outcomes instanceof Error) {
        log.warn(
          { ...logFieldsOf(request), event: event.id, type: event.type, why: outcomes.message },
          'Stripe could not be asked',
        )
        return sendRefused(reply.header('retry-after', 5), refused('provider_unavailable'))
      }
      const refusal = outcomes.find((outcome) => !outcome.ok)
      // An order that is not there will not come: another environment shares the account, or a copy was restored.
      if (refusal?.ok === false && refusal.code === 'not_found')
        log.warn({ ...logFieldsOf(request), event: event.id }, 'an event of no order')
      else if (refusal?.ok === false) return sendRefused(reply, refusal)
      else await rememberEvent(database, { id: event.id, type: event.type, at: now() })
      return sendJson(reply, 200, received)
    },
  )
}

const received = '{"received":true}'

async function settle({ commands, submissionOf, now }: StripeRoutesOptions, settles: Settle[], span: Span | null) {
  const outcomes: CommandOutcome[] = []
  for (const command of settles) outcomes.push(await commands.submit(submissionOf(command, null, now(), span)))
  return outcomes
}
