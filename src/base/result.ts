// Outcomes of commands: accepted with a value, or refused with a stable code. A refusal is a value, never thrown.
import type { ErrorCode } from './errors.ts'

export type Accepted<T> = { ok: true; value: T; replayed: boolean }
export type FieldProblem = { pointer: string; code: string } & Record<string, unknown>
export type Refused = {
  ok: false
  code: ErrorCode
  detail?: string
  errors?: FieldProblem[]
  /** Of a 503, where its code does not say it. */
  mayHaveHappened?: boolean
}
export type Outcome<T> = Accepted<T> | Refused

export const accepted = <T>(value: T): Accepted<T> => ({ ok: true, value, replayed: false })
export const replayed = <T>(value: T): Accepted<T> => ({ ok: true, value, replayed: true })
export const refused = (code: ErrorCode, detail?: string, errors?: FieldProblem[]): Refused => ({
  ok: false,
  code,
  ...(detail === undefined ? {} : { detail }),
  ...(errors === undefined ? {} : { errors }),
})

/** The refusal of a part of a body: its pointers are of the whole. */
export const refusedUnder = (pointer: string, refusal: Refused): Refused =>
  refusal.errors
    ? { ...refusal, errors: refusal.errors.map((error) => ({ ...error, pointer: `${pointer}${error.pointer}` })) }
    : refusal
