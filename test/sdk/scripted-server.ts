// A server that answers as a test tells it to, request by request, and remembers what it was asked.
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Asked = { method: string; path: string; headers: IncomingHttpHeaders; body: string }
export type Answer = (asked: Asked, response: ServerResponse, nth: number) => void | Promise<void>

export type ScriptedServer = { url: string; asked: Asked[]; stop(): Promise<void> }

export async function startScriptedServer(answer: Answer): Promise<ScriptedServer> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    const one = { method: request.method!, path: request.url!, headers: request.headers, body }
    asked.push(one)
    await answer(one, response, asked.length - 1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, { 'content-type': type, 'holdfast-cell': 'eu1', ...headers }).end(JSON.stringify(body))
}

export const problem = (
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void =>
  json(response, status, { type: `/errors/${code}`, title: code, status, code }, { 'x-request-id': 'r-1', ...headers })
