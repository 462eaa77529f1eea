// The stand-in of Stripe as a process of its own, with the memory of its file: killed and started again, it is the same account.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { standInKey } from '../support/stripe-stand-in.ts'

const program = fileURLToPath(new URL('../support/stripe-stand-in.ts', import.meta.url))
const webhookSecret = 'whsec_crash'

export type StripeProcess = { kill(): Promise<void>; start(): Promise<void> }
type Given = { port: number; file: string; serverPort: number }

/** What the server has to be told of it. */
export const stripeEnvironment = (port: number): Record<string, string> => ({
  HOLDFAST_STRIPE_SECRET_KEY: standInKey,
  HOLDFAST_STRIPE_WEBHOOK_SECRET: webhookSecret,
  HOLDFAST_STRIPE_API_BASE: `http://127.0.0.1:${port}`,
})

export async function startStripe({ port, file, serverPort }: Given): Promise<StripeProcess> {
  const webhooks = `http://127.0.0.1:${serverPort}/v1/providers/stripe/webhooks`
  let child: ChildProcess | undefined
  const start = async () => {
    child = spawn(process.execPath, [program, String(port), file, webhooks, webhookSecret], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ready = once(child.stdout!, 'data')
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the stand-in of Stripe ended with ${code}`)
    })
    ended.catch(() => undefined)
    await Promise.race([ready, ended])
  }
  await start()
  return {
    start,
    async kill() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
