// Takes traces as a collector does: OTLP over HTTP, as JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp). It can be told
// to hang, as one that is overloaded, or to refuse.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type OtlpSpan = {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  /** 1 internal, 2 server, 3 client. */
  kind: number
  attributes: Record<string, unknown>
  links: { traceId: string; spanId: string }[]
  /** Of the resource. */
  cell: unknown
  version: unknown
  isError: boolean
}

export type OtlpReceiver = {
  url: string
  spans: OtlpSpan[]
  /** All that it was sent. */
  text(): string
  requests(): number
  behave(how: 'take' | 'hang' | 'refuse'): void
  stop(): Promise<void>
}

type Value = { stringValue?: string; intValue?: number; boolValue?: boolean; doubleValue?: number }
type Attributes = { key: string; value: Value }[]
type Body = {
  resourceSpans: {
    resource: { attributes: Attributes }
    scopeSpans: { spans: (Omit<OtlpSpan, 'attributes'> & { attributes: Attributes; status?: { code?: number } })[] }[]
  }[]
}

export async function openOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: OtlpSpan[] = []
  const texts: string[] = []
  const hanging = new Set<ServerResponse>()
  let how: 'take' | 'hang' | 'refuse' = 'take'
  let requests = 0

  const server = createServer((request, response) => {
    requests++
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      if (how === 'hang') return void hanging.add(response)
      if (how === 'refuse') return void response.writeHead(400).end()
      const isTraces = request.url === '/v1/traces' && request.headers['content-type'] === 'application/json'
      if (!isTraces) return void response.writeHead(404).end()
      const text = Buffer.concat(parts).toString()
      texts.push(text)
      spans.push(...spansIn(JSON.parse(text) as Body))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    text: () => texts.join('\n'),
    requests: () => requests,
    behave(wanted) {
      how = wanted
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

const spansIn = ({ resourceSpans }: Body): OtlpSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap((scope) =>
      scope.spans.map(({ attributes, links, status, ...span }) => ({
        ...span,
        links: links ?? [],
        attributes: valuesOf(attributes),
        cell: valuesOf(resource.attributes)['holdfast.cell'],
        version: valuesOf(resource.attributes)['service.version'],
        isError: status?.code === 2,
      })),
    ),
  )

const valuesOf = (attributes: Attributes): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
