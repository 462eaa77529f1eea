// Several cells that answer for one shop: the nearest that is well is asked first, and another with the same key when it cannot be
// reached. Keys name the cell at the origin where they are first used, so that whoever is asked again sends a retry there.
import { limits } from './limits.ts'
import type { HoldfastError } from './problem.ts'

export type Origins = {
  /** Nearest first. */
  readonly urls: readonly string[]
  /** The cell that answers at a URL: given, or learnt from its answers. */
  readonly cells: Map<string, string>
  /** When a URL was last found out of reach; forgotten when it answers. */
  readonly failedAt: Map<string, number>
}

export function originsOf(urls: readonly string[], cell: string | undefined): Origins {
  const bare = urls.map((url) => url.replace(/\/+$/, ''))
  if (bare.length === 0) throw new TypeError('a client needs a url')
  return { urls: bare, cells: new Map(cell === undefined ? [] : [[bare[0]!, cell]]), failedAt: new Map() }
}

/** The nearest that has not failed lately, and has not been `tried`; undefined when every one has been. */
export function nextOrigin({ urls, failedAt }: Origins, tried: ReadonlySet<string>): string | undefined {
  const now = Date.now()
  const left = urls.filter((url) => !tried.has(url))
  return left.find((url) => now - (failedAt.get(url) ?? Number.NEGATIVE_INFINITY) > limits.originPauseMs) ?? left[0]
}

export const nearestOrigin = (origins: Origins): string => nextOrigin(origins, new Set())!

/** A cell that forwarded says so: the answer is then another's. */
export function learn(origins: Origins, url: string, headers: Headers): void {
  origins.failedAt.delete(url)
  const cell = headers.get('holdfast-via') ?? headers.get('holdfast-cell')
  if (cell !== null) origins.cells.set(url, cell)
}

/** May another cell do better? The one that was asked cannot be reached, or cannot reach the home of what was asked for. */
export const mayGoElsewhere = ({ code }: HoldfastError): boolean =>
  code === 'unreachable' || code === 'cell_unreachable'

const unconnected = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])

/** The request has certainly done nothing: no cell read it, or the one that did says so. */
export function neverHappened({ code, problem, cause }: HoldfastError): boolean {
  if (code !== 'unreachable') return problem.may_have_happened === false
  const reason = (cause as { cause?: { code?: unknown } } | undefined)?.cause?.code
  return typeof reason === 'string' && unconnected.has(reason) // browsers do not say why
}
