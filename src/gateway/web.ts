// The control room as files: what was built of it, served by every cell. Its pages are drawn by the browser, so that any path that is
// none of the API's, asked for by somebody who reads HTML, is its page; the policy lets it talk to the cells and to nobody else.
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { sendBytes, sendText } from '../runtime/http.ts'
import type { Cors } from './cors.ts'

export type WebOptions = {
  /** Where it was built; it may be built, and built again, while the cell runs. */
  folder: string
  cors: Pick<Cors, 'origins'>
}

export type Web = {
  routes(app: FastifyInstance): void
  /** For what no route takes; undefined when it is none of ours either. */
  answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined>
}

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
}

/** One name in the folder or in its `assets`; none that begins with a dot, and no way out. */
const filePath = /^\/(?:assets\/)?[A-Za-z0-9_-][\w.-]*$/

export function createWeb({ folder, cors }: WebOptions): Web {
  /** Smallest first, of those that the caller takes. */
  async function read(path: string, accepted: string): Promise<{ bytes: Buffer; encoding: string | null } | undefined> {
    for (const [encoding, ending] of encodings) {
      if (!new RegExp(`\\b${encoding}\\b(?!\\s*;\\s*q=0(?:\\.0*)?\\s*(?:,|$))`).test(accepted)) continue
      const bytes = await readFile(join(folder, path + ending)).catch(unlessMissing)
      if (bytes) return { bytes, encoding }
    }
    const bytes = await readFile(join(folder, path)).catch(unlessMissing)
    return bytes && { bytes, encoding: null }
  }

  async function sendFile(request: FastifyRequest, reply: FastifyReply, path: string) {
    const type = types[extname(path)]
    if (type === undefined || !filePath.test(path)) return undefined
    const found = await read(path, String(request.headers['accept-encoding'] ?? ''))
    if (!found) return undefined
    if (found.encoding) reply.header('content-encoding', found.encoding)
    // What is in `assets` is named by its content.
    const kept = path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
    reply
      .header('cache-control', kept)
      .header('vary', 'accept-encoding, origin')
      .header('x-content-type-options', 'nosniff')
    return sendBytes(reply, 200, found.bytes, type)
  }

  async function sendPage(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    reply
      .header('content-security-policy', policyOf(cors.origins()))
      .header('referrer-policy', 'no-referrer')
      .header('x-content-type-options', 'nosniff')
    const sent = await sendFile(request, reply, '/index.html')
    return sent ?? sendText(reply.header('cache-control', 'no-store'), 503, notBuilt, types['.html']!)
  }

  return {
    routes: (app) => void app.get('/', { schema: { hide: true } }, sendPage),
    async answer(request, reply) {
      if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
      const path = request.url.split('?', 1)[0]!
      if (path === '/v1' || path.startsWith('/v1/') || path.startsWith('/peer/')) return undefined
      const sent = extname(path) === '.html' ? undefined : await sendFile(request, reply, path) // the page never goes without its policy
      if (sent || path.startsWith('/assets/')) return sent
      return /\btext\/html\b/.test(String(request.headers.accept ?? '')) ? sendPage(request, reply) : undefined
    },
  }
}

const encodings = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'EISDIR' || error.code === 'ENOTDIR') return undefined
  throw error
}

/** Everything comes from this cell, and is said to the cells; `data:` is for pictures in styles. */
const policyOf = (origins: ReadonlySet<string>): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "manifest-src 'self'",
    ["connect-src 'self'", ...origins].join(' '),
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')

const notBuilt = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="3"><title>Holdfast</title></head>
<body>
<h1>The control room has not been built</h1>
<p><code>holdfast start</code> builds it when it is missing, which takes some seconds: this page looks again by itself. If it stays, run <code>npm run build:web</code>.</p>
<p>The cell runs all the same: <a href="/docs">its API</a>, <a href="/readyz">whether it is ready</a>.</p>
</body>
</html>
`
