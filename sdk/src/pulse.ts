// The pulse of one cell as it beats: one connection, on which the newest value comes every second. What breaks it is thrown, since
// whoever watches wants to see that a cell is gone rather than to wait for it.
import { anySignal, type Connection, fetchAnswer, headersOf } from './connection.ts'
import { limits } from './limits.ts'
import { readLines } from './lines.ts'
import { nearestOrigin } from './origins.ts'
import { HoldfastError, unreachable } from './problem.ts'

export type PulseStreamOptions = { signal?: AbortSignal }

/** Ends quietly when the signal is aborted; throws HoldfastError when the cell refuses, leaves, or says nothing for `pulseSilenceMs`. */
export async function* streamPulses<Pulse>(
  connection: Connection,
  path: string,
  { signal }: PulseStreamOptions,
): AsyncGenerator<Pulse> {
  const silence = new AbortController()
  const silent = () => silence.abort(new Error(`nothing for ${limits.pulseSilenceMs} ms`))
  let timer = setTimeout(silent, limits.pulseSilenceMs)
  const origin = nearestOrigin(connection.origins)
  try {
    const answer = await fetchAnswer(connection, origin, origin + path, {
      headers: headersOf(connection, { accept: 'text/event-stream' }),
      signal: anySignal(signal, silence.signal),
    })
    for await (const line of readLines(answer.body!)) {
      clearTimeout(timer)
      timer = setTimeout(silent, limits.pulseSilenceMs)
      if (line.startsWith('data:')) yield JSON.parse(line.slice('data:'.length)) as Pulse
    }
    throw unreachable(new Error('the stream ended'))
  } catch (error) {
    if (signal?.aborted) return
    throw error instanceof HoldfastError ? error : unreachable(silence.signal.aborted ? silence.signal.reason : error)
  } finally {
    clearTimeout(timer)
  }
}
