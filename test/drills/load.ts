// Buyers of a drill: each places one order after the other and writes down what was acknowledged, so that it can be looked for.
import { type DrillCell, orderOf } from './cells.ts'

export type Load = {
  /** Answers the ids of all orders that were acknowledged. */
  stop(): Promise<string[]>
}

export function startLoad(
  cell: DrillCell,
  { sku, clients, onAnswer }: { sku: string; clients: number; onAnswer?: (status: number, code: string) => void },
): Load {
  const acknowledged: string[] = []
  let isOver = false
  const buyer = async (): Promise<void> => {
    while (!isOver) {
      const key = `${cell.name}.${crypto.randomUUID()}`
      const { status, json } = await cell.call('POST', '/v1/orders', { body: orderOf(sku), key, deadlineMs: 5_000 })
      if (status === 201) acknowledged.push(json.id)
      onAnswer?.(status, json?.code ?? '')
    }
  }
  const buyers = Array.from({ length: clients }, buyer)
  return {
    async stop() {
      isOver = true
      await Promise.all(buyers)
      return acknowledged
    },
  }
}

export const secondsSince = (ms: number): number => Math.round((performance.now() - ms) / 10) / 100
