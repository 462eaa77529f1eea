// Carries one request to another server and its answer back as it comes, in bounded memory: nothing of it is kept, and nothing
// is sent twice. Tells whether a request that got no answer may have been read by anyone.
import type { Dispatcher } from 'undici'

export type Errand = {
  origin: string
  /** With its query. */
  path: string
  method: string
  headers: Record<string, string>
  body: Buffer | null
  /** How long nothing may move before the answer begins. */
  deadlineMs: number
}

export type AnswerHeaders = Record<string, string | string[] | undefined>

/** Where an answer goes, piece by piece. */
export type Sink = {
  head(status: number, headers: AnswerHeaders): void
  /** False: wait for `drained`. */
  data(chunk: Buffer): boolean
  drained(goOn: () => void): void
  end(): void
  /** The answer has begun and does not go on. */
  broken(): void
  /** When it aborts, nobody waits for the answer any more. */
  left: AbortSignal
}

/** No answer has begun. `isSent`: some of the request may have arrived. */
export type Unanswered = { isSent: boolean; why: string }

class NoAnswerInTime extends Error {
  readonly code = 'timeout'
}
class NobodyWaits extends Error {
  readonly code = 'aborted'
}

/** Resolves when the answer has ended, or broken off; with why, when none has begun. */
export function carry(dispatcher: Dispatcher, errand: Errand, sink: Sink): Promise<Unanswered | undefined> {
  return new Promise((resolve) => {
    const { origin, path, method, headers, body, deadlineMs } = errand
    let control: Dispatcher.DispatchController | undefined
    let ended: Error | undefined
    let hasBegun = false

    function giveUp(reason: Error): void {
      ended = reason
      control?.abort(reason)
    }
    const leave = () => giveUp(new NobodyWaits())
    const timer = setTimeout(() => giveUp(new NoAnswerInTime()), deadlineMs)
    sink.left.addEventListener('abort', leave)
    if (sink.left.aborted) leave()

    function over(unanswered?: Unanswered): void {
      clearTimeout(timer)
      sink.left.removeEventListener('abort', leave)
      resolve(unanswered)
    }

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        if (ended) return controller.abort(ended) // before a byte is written
        control = controller
      },
      onBodySent: () => void timer.refresh(),
      onResponseStart(_, status, answerHeaders) {
        if (status < 200) return
        clearTimeout(timer)
        hasBegun = true
        sink.head(status, answerHeaders)
      },
      onResponseData(controller, chunk) {
        if (sink.data(chunk)) return
        controller.pause()
        sink.drained(() => controller.resume())
      },
      onResponseEnd() {
        sink.end()
        over()
      },
      onResponseError(_, error) {
        if (hasBegun) sink.broken()
        over(hasBegun ? undefined : { isSent: control !== undefined, why: wordOf(error) })
      },
    }
    dispatcher.dispatch({ origin, path, method: method as Dispatcher.HttpMethod, headers, body }, handler)
  })
}

/** An answer that is read whole, as text of at most `bytesMax`. */
export async function fetchText(
  dispatcher: Dispatcher,
  errand: Errand,
  { bytesMax, left }: { bytesMax: number; left: AbortSignal },
): Promise<{ status: number; headers: AnswerHeaders; text: string } | Unanswered> {
  const tooLong = new AbortController()
  const parts: Buffer[] = []
  let bytes = 0
  let head: { status: number; headers: AnswerHeaders } | undefined
  let isWhole = false
  const unanswered = await carry(dispatcher, errand, {
    head(status, headers) {
      head = { status, headers }
    },
    data(chunk) {
      bytes += chunk.length
      if (bytes > bytesMax) tooLong.abort()
      else parts.push(Buffer.from(chunk))
      return true
    },
    drained: (goOn) => goOn(),
    end() {
      isWhole = true
    },
    broken() {},
    left: AbortSignal.any([left, tooLong.signal]),
  })
  if (head && isWhole) return { ...head, text: Buffer.concat(parts).toString() }
  return unanswered ?? { isSent: true, why: tooLong.signal.aborted ? 'too_long' : 'broken' }
}

/** `ECONNREFUSED`, `timeout` …; a message of another's making is not shown. */
function wordOf(error: unknown): string {
  const { code, cause } = error as { code?: unknown; cause?: unknown }
  return typeof code === 'string' ? code : cause ? wordOf(cause) : 'failed'
}
