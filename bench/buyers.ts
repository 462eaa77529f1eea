// Buyers who come by a schedule that answers do not slow down, each after one unit, and keep a journal of every request and its
// answer. Who gets no clear answer asks again with the same key, as the SDK does, until all are told to go. One in twenty asks once
// more after he was served, in another cell if there is one, as somebody whose answer got lost.
import { appendFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { Agent } from 'undici'

export type BuyersPlan = { groups: readonly BuyerGroup[]; secondsMax: number; journal: string }

/** `close`: nobody comes any more. `stop`: and nobody asks again. */
export type BuyersMessage = 'close' | 'stop'

/** Those of one place, who want one thing. */
export type BuyerGroup = {
  name: string
  cell: string
  url: string
  /** Of another cell. */
  otherUrl?: string
  sku: string
  ratePerSecond: number
}

/** One request. */
export type Asked = {
  group: string
  cell: string
  sku: string
  key: string
  /** By somebody who was served before. */
  isRepeat: boolean
  /** 0: none came. */
  status: number
  code: string | null
  order: string | null
  /** When the engine took it up, by its own clock. */
  placedAtMs: number | null
  /** Both by the clock of the machine. */
  sentAtMs: number
  answeredAtMs: number
}

const answerMsMax = 10_000
const [againMs, againMsMax] = [200, 6_400]
const triesMax = 50
const repeatShare = 0.05
const lateMsMax = 1_000
const connectionsMax = 1_024

const plan = JSON.parse(process.argv[2]!) as BuyersPlan
const agent = new Agent({ connections: connectionsMax, pipelining: 1, connect: { timeout: 1_000 } })
const lines: string[] = []
const closing = new AbortController()
const stopping = new AbortController()
process.on('message', (message: BuyersMessage) => {
  closing.abort()
  if (message === 'stop') stopping.abort()
})

const now = (): number => performance.timeOrigin + performance.now()

async function ask(
  { name, cell, sku, url, otherUrl = url }: BuyerGroup,
  key: string,
  isRepeat = false,
): Promise<Asked> {
  const sentAtMs = now()
  const about = { group: name, cell, sku, key, isRepeat, sentAtMs }
  try {
    const answer = await agent.request({
      origin: isRepeat ? otherUrl : url,
      path: '/v1/orders',
      method: 'POST',
      headers: { authorization: 'Bearer sk_dev', 'content-type': 'application/json', 'idempotency-key': key },
      body: `{"currency":"EUR","lines":[{"sku":"${sku}","quantity":1,"unit_price":{"amount":1999,"currency":"EUR"}}]}`,
      headersTimeout: answerMsMax,
      bodyTimeout: answerMsMax,
    })
    const said = (await answer.body.json()) as { id?: string; code?: string; created_at?: string }
    const order = answer.statusCode === 201 ? said.id! : null
    const placedAtMs = order === null ? null : Date.parse(said.created_at!)
    return { ...about, status: answer.statusCode, code: said.code ?? null, order, placedAtMs, answeredAtMs: now() }
  } catch {
    return { ...about, status: 0, code: null, order: null, placedAtMs: null, answeredAtMs: now() }
  }
}

/** The key names its home, as those of the SDK do. */
async function buy(group: BuyerGroup): Promise<void> {
  const key = `${group.cell}.${crypto.randomUUID()}`
  for (let tries = 0; tries < triesMax; tries++) {
    const asked = await ask(group, key)
    lines.push(JSON.stringify(asked))
    if (asked.status === 201 && Math.random() < repeatShare) lines.push(JSON.stringify(await ask(group, key, true)))
    if ((asked.status > 0 && asked.status < 500) || stopping.signal.aborted) return
    await pause(Math.min(againMsMax, againMs * 2 ** tries))
  }
}

/** Who would come too late because this process got no time does not come. */
async function come(group: BuyerGroup): Promise<void> {
  const startedAt = performance.now()
  const endsAt = startedAt + plan.secondsMax * 1_000
  const buying = new Set<Promise<void>>()
  for (let came = 0; !closing.signal.aborted && performance.now() < endsAt; ) {
    const due = Math.floor(((performance.now() - startedAt) * group.ratePerSecond) / 1_000)
    came = Math.max(came, due - Math.ceil((group.ratePerSecond * lateMsMax) / 1_000))
    for (; came < due; came++) {
      const one: Promise<void> = buy(group).finally(() => buying.delete(one))
      buying.add(one)
    }
    await pause(1)
  }
  await Promise.all(buying)
}

await Promise.all(plan.groups.map(come))
appendFileSync(plan.journal, `${lines.join('\n')}\n`)
await agent.destroy()
process.disconnect?.()
