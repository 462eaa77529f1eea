// What the journal says was acknowledged: the ground that the store and the providers are compared with.
import type { Answer, Intent, Promises } from './journal.ts'

/** An intent, and everything that its requests were answered with 2xx. */
export type Accepted = { intent: Intent; contents: unknown[]; replayed: boolean }

export function acceptedOf({ intents, answers }: Promises): Accepted[] {
  return [...intents.values()].flatMap((intent) => {
    const good = (answers.get(intent.key) ?? []).filter((answer): answer is Answer & { ok: true } => answer.ok)
    if (good.length === 0) return []
    return [{ intent, contents: good.map(({ content }) => content), replayed: good.every(({ replayed }) => replayed) }]
  })
}

export const only = <K extends Intent['kind']>(accepted: readonly Accepted[], kind: K) =>
  accepted.filter((one): one is Accepted & { intent: Extract<Intent, { kind: K }> } => one.intent.kind === kind)

export function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** Where two tallies differ, in words. */
export function tellDifferences(acknowledged: Record<string, number>, happened: Record<string, number>): string[] {
  return [...new Set([...Object.keys(happened), ...Object.keys(acknowledged)])].flatMap((change) => {
    const [wanted, done] = [acknowledged[change] ?? 0, happened[change] ?? 0]
    return wanted === done ? [] : [`${change}: acknowledged ${wanted} times, happened ${done} times`]
  })
}
