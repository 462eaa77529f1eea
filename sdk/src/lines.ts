// Lines of a body as they come in, whatever the network cut them into. Never holds more than one line and one chunk.
import { limits } from './limits.ts'

/** Lines without their ends (LF or CRLF). A last line without an end is not one: the body was cut off there. */
export async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let held = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const parts = (held + decoder.decode(value, { stream: true })).split('\n')
      held = parts.pop()!
      if (held.length > limits.lineCharactersMax)
        throw new Error(`a line of more than ${limits.lineCharactersMax} characters`)
      for (const part of parts) yield part.endsWith('\r') ? part.slice(0, -1) : part
    }
  } finally {
    await reader.cancel().catch(() => undefined) // gives the connection back when the caller stops early
  }
}
