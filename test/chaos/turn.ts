// One intent of a worker: sworn to in the journal, sent through the SDK under its key until there is an answer that stands, and
// learnt from.
import { type AnswerInfo, type Client, HoldfastError } from '../../sdk/src/client.ts'
import type { Answer, Intent, Journal } from './journal.ts'
import { sendIntent } from './send.ts'
import type { Worker } from './workload.ts'

const answerMsMax = 90_000

export type Turn = {
  client: Client
  journal: Journal
  worker: Worker
  key: string
  /** Sent twice at once, as by a double click. */
  twice: boolean
}

export async function turn({ client, journal, worker, key, twice }: Turn): Promise<void> {
  const wish = worker.next()
  const intent: Intent = { ...wish, key, sends: twice ? 2 : 1 }
  if (intent.kind === 'order') intent.body = { ...intent.body, metadata: { key } } // the store shows which key made it
  journal.write({ intent })
  const [answer] = await Promise.all([send(client, journal, intent), twice ? send(client, journal, intent) : undefined])
  worker.learn(wish, answer)
}

/** Until there is an answer that stands. */
export async function send(client: Client, journal: Journal, intent: Intent): Promise<Answer> {
  const { key } = intent
  let replayed = false
  const options = {
    idempotencyKey: key,
    deadlineMs: answerMsMax,
    onAnswer: (info: AnswerInfo) => {
      replayed = info.replayed
    },
  }
  let answer: Answer
  try {
    const content = await sendIntent(client, intent, options)
    answer = { key, replayed, at: Date.now(), ok: true, content }
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.status === 0 || error.status >= 500) throw error
    answer = { key, replayed, at: Date.now(), ok: false, code: error.code }
  }
  journal.write({ answer })
  return answer
}
