// What every bench gets and gives. What a bench starts it hands to `defer`, and it is stopped whatever happens.
import type { Column } from '../src/cli/table.ts'
import type { PostgresSettings } from './machine.ts'
import type { BenchOptions } from './options.ts'

export type BenchContext = {
  options: BenchOptions
  /** A temporary folder that is removed in the end. */
  folder: string
  /** One line of progress, for people. */
  say(line: string): void
  /** Runs in the end, the latest first. */
  defer(stop: () => Promise<unknown>): void
}

export type Field = number | string | boolean | null | readonly Field[] | { readonly [name: string]: Field }

export type BenchResult = {
  /** Of the last line: what the table in docs/PERFORMANCE.md names, then what explains it. */
  fields: Record<string, Field>
  table: { columns: readonly Column[]; rows: readonly (readonly string[])[] }
  generator: string
  /** Null where servers of several kinds were run by somebody else. */
  postgres: PostgresSettings | null
}

export type Bench = {
  /** Free disk that it needs. */
  diskMib(options: BenchOptions): number
  /** It is given up after so long. */
  secondsMax(options: BenchOptions): number
  run(context: BenchContext): Promise<BenchResult>
}

/** `12,345` */
export const grouped = (value: number): string => Math.round(value).toLocaleString('en-US')
