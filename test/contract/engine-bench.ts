// What the engine's contract suite needs of a store: processes on it, a look at everything it holds, and time.
import type { Uuid } from '../../src/base/ids.ts'
import type { EngineTx } from '../../src/modules/orders/engine.ts'
import type { OrderStatus } from '../../src/modules/orders/states.ts'
import type { CommandOutcome, Submission } from '../../src/modules/orders/types.ts'
import type { HoldStatus, StockRow } from '../../src/modules/stock/types.ts'

export type TestProcess = {
  run(...submissions: Submission[]): Promise<CommandOutcome[]>
  runOn(lane: number, ...submissions: Submission[]): Promise<CommandOutcome[]>
  close(): Promise<unknown>
}

export type EngineState = {
  rows: Omit<StockRow, 'shopId' | 'site' | 'countedAt'>[]
  orders: { id: Uuid; status: OrderStatus; version: number }[]
  holds: { id: Uuid; status: HoldStatus; version: number }[]
  keys: { hash: string; resultId: Uuid | null }[]
  /** In the order of the log. */
  events: { subject: string; subjectVersion: number; type: string; data: Record<string, unknown>; moves: number[] }[]
}

export type EngineBench = {
  /** A server process of its own; `wrap` sees each of its transactions. */
  process(wrap?: (tx: EngineTx) => EngineTx): TestProcess
  readState(): Promise<EngineState>
  /** So much time passes for the store. */
  elapse(ms: number): Promise<void>
  /** Resolves when a transaction waits for another's lock. */
  somebodyWaits(): Promise<void>
  close(): Promise<unknown>
}
