// Signs as Standard Webhooks says: HMAC-SHA-256 over `id.timestamp.body`, one signature for each secret that is valid.
// Its own package signs in plain JavaScript, tens of times slower; the tests verify with it.
import { createHmac, randomBytes } from 'node:crypto'

const prefix = 'whsec_'

/** `whsec_` and 32 random bytes in base64. */
export const newWebhookSecret = (): string => prefix + randomBytes(32).toString('base64')

/** The value of `webhook-signature`; `seconds` is what `webhook-timestamp` says. */
export function webhookSignature(
  secrets: readonly string[],
  { id, seconds, body }: { id: string; seconds: number; body: string },
): string {
  return secrets
    .map((secret) => {
      const key = Buffer.from(secret.slice(prefix.length), 'base64')
      return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`
    })
    .join(' ')
}
