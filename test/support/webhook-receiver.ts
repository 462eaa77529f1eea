// A receiver of webhooks as somebody else would write one: a plain HTTP server that verifies by the package of Standard Webhooks.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export type Received = {
  path: string
  id: string
  at: number
  headers: Record<string, string>
  body: string
  // biome-ignore lint/suspicious/noExplicitAny: tests read what was sent and fail when it is not there
  event: any
}
export type Reply = { status: number; headers?: Record<string, string>; body?: string }

export type Receiver = {
  url: string
  received: Received[]
  /** What it answers from now on; 200 at first. A promise lets it wait. */
  answer(reply: (one: Received) => Reply | Promise<Reply>): void
  /** Requests that were open at once, at most. */
  readonly openMax: number
  close(): Promise<void>
}

export async function openReceiver(port = 0): Promise<Receiver> {
  const received: Received[] = []
  let reply: (one: Received) => Reply | Promise<Reply> = () => ({ status: 200 })
  let open = 0
  let openMax = 0
  const server = createServer(async (request, response) => {
    openMax = Math.max(openMax, ++open)
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const headers = request.headers as Record<string, string>
    const one = {
      path: request.url!,
      id: headers['webhook-id']!,
      at: Date.now(),
      headers,
      body,
      event: JSON.parse(body),
    }
    received.push(one)
    const { status, headers: sent = {}, body: text = 'thank you' } = await reply(one)
    open--
    response.writeHead(status, sent).end(text)
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer(given) {
      reply = given
    },
    get openMax() {
      return openMax
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Whether the signature is good by this secret. */
export function isVerified(secret: string, { body, headers }: Received): boolean {
  try {
    new Webhook(secret).verify(body, headers)
    return true
  } catch {
    return false
  }
}
