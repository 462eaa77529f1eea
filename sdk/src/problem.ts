// What a call throws: the server's own problem (RFC 9457) with its stable code, or `unreachable` when there was no answer.

export type FieldProblem = { pointer: string; code: string } & Record<string, unknown>

export type Problem = {
  type?: string
  title?: string
  status: number
  detail?: string
  code: string
  errors?: FieldProblem[]
} & Record<string, unknown>

export class HoldfastError extends Error {
  override readonly name = 'HoldfastError'
  /** Stable; see the server's error table. Ours: `unreachable` (no answer), `unexpected_answer` (not Holdfast's). */
  readonly code: string
  /** 0 when there was no answer. */
  readonly status: number
  readonly errors: readonly FieldProblem[]
  readonly problem: Problem
  readonly requestId: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(problem: Problem, about: { requestId?: string; retryAfterMs?: number; cause?: unknown } = {}) {
    super(
      problem.detail ?? problem.title ?? problem.code,
      about.cause === undefined ? undefined : { cause: about.cause },
    )
    this.code = problem.code
    this.status = problem.status
    this.errors = problem.errors ?? []
    this.problem = problem
    this.requestId = about.requestId
    this.retryAfterMs = about.retryAfterMs
  }
}

/** May the same request, with the same key, succeed later? */
export function mayRetry({ status, code }: { status: number; code: string }): boolean {
  if (code === 'unreachable' || code === 'idempotency_key_in_flight') return true
  return status === 429 || status === 502 || status === 503 || status === 504
}

export function unreachable(cause: unknown): HoldfastError {
  const reason =
    cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : String(cause)
  return new HoldfastError({ status: 0, code: 'unreachable', title: 'No answer', detail: reason }, { cause })
}

/** The problem that an answer outside 2xx carries. */
export async function problemOf(answer: Response): Promise<HoldfastError> {
  const text = await answer.text()
  try {
    const problem = JSON.parse(text) as Problem
    if (typeof problem.code === 'string') return new HoldfastError({ ...problem, status: answer.status }, about(answer))
  } catch {
    // A proxy's page, for one.
  }
  return unexpected(answer, text)
}

/** What no Holdfast answers; the status may still say that trying again helps. */
export function unexpected(answer: Response, text: string): HoldfastError {
  const detail = `${answer.status} ${answer.statusText}: ${text.slice(0, 200)}`
  return new HoldfastError({ status: answer.status, code: 'unexpected_answer', detail }, about(answer))
}

const about = ({ headers }: Response) => ({
  requestId: headers.get('x-request-id') ?? undefined,
  retryAfterMs: retryAfterMs(headers.get('retry-after')),
})

/** Seconds or an HTTP date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | null): number | undefined {
  if (value === null) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
