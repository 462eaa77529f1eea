// Buyers in a process of their own (see buyers.ts), and what their journal says in the end.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BenchContext } from './bench.ts'
import type { Asked, BuyersMessage, BuyersPlan } from './buyers.ts'
import { lastLine, startScript } from './load.ts'

export const buyersName = `bench/buyers.ts on Node ${process.version}, one process, by a schedule`

export type Buying = {
  /** Nobody comes any more; who has no clear answer yet asks until he has one. */
  close(): void
  /** Nobody asks again either. */
  stop(): void
  /** Every request, by the time that it was sent. */
  journal: Promise<Asked[]>
}

export function startBuying(context: BenchContext, plan: Omit<BuyersPlan, 'journal'>): Buying {
  const journal = join(context.folder, `journal-${crypto.randomUUID()}`)
  const child = startScript(context, './buyers.ts', { ...plan, journal } satisfies BuyersPlan)
  return {
    close: () => void child.send('close' satisfies BuyersMessage),
    stop: () => void child.send('stop' satisfies BuyersMessage),
    journal: lastLine(context, child).then(async () => readJournal(await readFile(journal, 'utf8'))),
  }
}

const readJournal = (text: string): Asked[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Asked)
    .toSorted((a, b) => a.sentAtMs - b.sentAtMs)

/** Of values in any order. */
export function percentileOf(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
