// Lines of JSON in, lines of JSON out, in the same order and without end, in bounded memory: at most `bulkInFlightMax` lines
// are unanswered, and nothing is read while that many are, while the reader of the answers is slow, or while the queue
// behind is full. Lines are cut straight from the bytes that arrived.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '../base/limits.ts'

export type LineAnswers = {
  /** The answer to a line, without a line end; never rejects. `tooLong` stands for a line beyond `bulkLineBytesMax`. */
  answer(line: Buffer | 'too_long'): string | Promise<string>
  isHalfFull(): boolean
  whenRoom(): Promise<void>
  /** When it aborts, nothing more is read; what was read is answered, and the connection is cut. */
  drain: AbortSignal
}

const streaming = new WeakSet<Socket>()

/** Such a request may take as long as it likes to arrive, as long as something moves. */
export const isStreaming = (socket: Socket): boolean => streaming.has(socket)

/** Resolves when every line is answered or the connection is gone. The head of the response was written before. */
export function answerLines(request: IncomingMessage, response: ServerResponse, options: LineAnswers): Promise<void> {
  return new Promise((resolve) => {
    const splitter = createLineSplitter()
    const answers = createAnswersInOrder(response, () => pump())
    const { socket } = request
    let ended = false
    let isWaiting = false
    let isOver = false

    /** Takes lines while there is room; called again whenever something has changed. */
    function pump(): void {
      while (!isOver && !isWaiting && answers.hasRoom()) {
        if (options.drain.aborted) break
        if (options.isHalfFull()) {
          waitForRoom()
          return
        }
        const line = splitter.next() ?? (ended ? splitter.rest() : undefined)
        if (line === undefined) {
          if (!ended) request.resume()
          break
        }
        if (!isBlank(line)) answers.add(options.answer(line))
      }
      if (!isOver && answers.areAllWritten() && (options.drain.aborted || (ended && !splitter.hasMore()))) finish()
    }

    function waitForRoom(): void {
      isWaiting = true
      void options.whenRoom().then(() => {
        isWaiting = false
        pump()
      })
    }

    function finish(): void {
      close()
      if (ended && !splitter.hasMore()) response.end()
      else response.write('', () => response.destroy()) // cut, so that nobody takes the answers for all of them
    }

    function close(): void {
      isOver = true
      streaming.delete(socket)
      socket.setTimeout(0)
      options.drain.removeEventListener('abort', pump)
      resolve()
    }

    streaming.add(socket)
    socket.setTimeout(limits.bulkStallMsMax) // Node destroys the socket when nothing moves
    options.drain.addEventListener('abort', pump)
    request.on('data', (chunk: Buffer) => {
      splitter.push(chunk)
      request.pause()
      pump()
    })
    request.on('end', () => {
      ended = true
      pump()
    })
    response.on('close', () => !isOver && close())
  })
}

const isBlank = (line: Buffer | 'too_long'): boolean =>
  line !== 'too_long' && (line.length === 0 || (line.length === 1 && line[0] === 0x0d))

/** Answers leave in the order of their lines, as many at once as are ready. */
function createAnswersInOrder(response: ServerResponse, onProgress: () => void) {
  const size = limits.bulkInFlightMax
  const ready: (string | undefined)[] = new Array(size).fill(undefined)
  let first = 0
  let next = 0
  let isBlocked = false
  let isFlushPlanned = false

  function settle(index: number, text: string): void {
    ready[index % size] = text
    if (index !== first || isFlushPlanned) return
    isFlushPlanned = true
    setImmediate(flush) // a batch answers many lines at once: one write for all of them
  }

  function flush(): void {
    isFlushPlanned = false
    let text = ''
    for (; first < next; first++) {
      const answer = ready[first % size]
      if (answer === undefined) break
      ready[first % size] = undefined
      text += `${answer}\n`
    }
    if (!response.destroyed && !response.write(text)) {
      isBlocked = true
      response.once('drain', () => {
        isBlocked = false
        onProgress()
      })
    }
    onProgress()
  }

  return {
    hasRoom: () => !isBlocked && next - first < size,
    areAllWritten: () => first === next,
    add(answer: string | Promise<string>): void {
      const index = next++
      if (typeof answer === 'string') settle(index, answer)
      else void answer.then((text) => settle(index, text))
    },
  }
}

const lineFeed = 0x0a

/** Cuts lines out of chunks. `push` only when `next` has nothing more; a line that is too long is passed over. */
function createLineSplitter(lineBytesMax: number = limits.bulkLineBytesMax) {
  let chunk: Buffer = Buffer.alloc(0)
  let at = 0
  let parts: Buffer[] = []
  let partsBytes = 0

  /** The line that ends with `tail`, or what it stands for when it is too long. */
  function whole(tail: Buffer): Buffer | 'too_long' {
    const bytes = partsBytes + tail.length
    const line = bytes > lineBytesMax ? 'too_long' : parts.length === 0 ? tail : Buffer.concat([...parts, tail])
    parts = []
    partsBytes = 0
    return line
  }

  return {
    push(bytes: Buffer): void {
      chunk = at < chunk.length ? Buffer.concat([chunk.subarray(at), bytes]) : bytes
      at = 0
    },
    next(): Buffer | 'too_long' | undefined {
      const end = chunk.indexOf(lineFeed, at)
      if (end >= 0) {
        const tail = chunk.subarray(at, end)
        at = end + 1
        return whole(tail)
      }
      const rest = chunk.subarray(at)
      at = chunk.length
      partsBytes += rest.length
      if (partsBytes > lineBytesMax)
        parts = [] // known to be too long: not kept
      else if (rest.length > 0) parts.push(rest)
      return undefined
    },
    /** What stands behind the last line end. */
    rest(): Buffer | 'too_long' | undefined {
      return partsBytes > 0 ? whole(Buffer.alloc(0)) : undefined
    },
    hasMore: (): boolean => partsBytes > 0 || at < chunk.length,
  }
}
