// What the client of the crash test swore to: every intent before it is sent, every answer after it came. A file of lines,
// each written by one system call, so that it survives the client's own SIGKILL.
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import type {
  Adjustment,
  CancelOrder,
  ExtendHold,
  Pay,
  PlaceHold,
  PlaceOrder,
  ReceiveReturn,
  RefundOrder,
  RequestReturn,
  ShipOrder,
} from '../../sdk/src/client.ts'

/** Something that the client wants done once, under its key. A release has no key of its own: it may be repeated. */
export type Intent = { key: string; sends: number } & (
  | { kind: 'order'; body: PlaceOrder; wait?: number }
  | { kind: 'pay'; orderId: string; body: Pay; wait?: number }
  | { kind: 'cancel'; orderId: string; body: CancelOrder }
  | { kind: 'ship'; orderId: string; body: ShipOrder }
  | { kind: 'deliver'; orderId: string; shipmentId: string }
  | { kind: 'return'; orderId: string; body: RequestReturn }
  | { kind: 'receive'; orderId: string; returnId: string; body: ReceiveReturn }
  | { kind: 'refund'; orderId: string; body: RefundOrder }
  | { kind: 'hold'; body: PlaceHold }
  | { kind: 'extend'; holdId: string; body: ExtendHold }
  | { kind: 'release'; holdId: string }
  | { kind: 'adjust'; body: Adjustment }
)

/** Those on an order. */
export type Step = Extract<Intent, { orderId: string }>

/** What the server said, and when: the order, its part, the hold or the stock as answered, or the code of a refusal. */
export type Answer = { key: string; replayed: boolean; at: number } & (
  | { ok: true; content: unknown }
  | { ok: false; code: string }
)

export type Line = { intent: Intent } | { answer: Answer }

export type Journal = { write(line: Line): void; close(): void }

export function openJournal(path: string): Journal {
  const file = openSync(path, 'a')
  return { write: (line) => void writeSync(file, `${JSON.stringify(line)}\n`), close: () => closeSync(file) }
}

export type Promises = { intents: Map<string, Intent>; answers: Map<string, Answer[]> }

/** A last line without its end was cut off by a SIGKILL, and counts as never written. */
export function readJournal(path: string): Promises {
  const intents = new Map<string, Intent>()
  const answers = new Map<string, Answer[]>()
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
  for (const text of lines) {
    const line = JSON.parse(text) as Line
    if ('intent' in line) intents.set(line.intent.key, line.intent)
    else answers.set(line.answer.key, [...(answers.get(line.answer.key) ?? []), line.answer])
  }
  return { intents, answers }
}

/** Intents of which a request may still be without its answer. */
export const openIntents = ({ intents, answers }: Promises): Intent[] =>
  [...intents.values()].filter(({ key, sends }) => (answers.get(key)?.length ?? 0) < sends)

/** How many answers stand in the file so far: asked often, so it reads on from where it was. */
export function countAnswers(path: string): () => number {
  let count = 0
  let from = 0
  return () => {
    const whole = existsSync(path) ? wholeLines(path, from) : ''
    from += Buffer.byteLength(whole)
    count += whole.split('\n').filter((line) => line.startsWith('{"answer":')).length
    return count
  }
}

function wholeLines(path: string, from: number): string {
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from))
    const read = readSync(file, bytes, 0, bytes.length, from)
    const end = bytes.subarray(0, read).lastIndexOf(10) + 1
    return bytes.toString('utf8', 0, end)
  } finally {
    closeSync(file)
  }
}
