// A refusal as RFC 9457 writes it. `type` is a reference into our own documentation, so it works on every host.
import { isCountry } from './countries.ts'
import { type ErrorCode, errorTable } from './errors.ts'
import { type FieldProblem, type Refused, refused } from './result.ts'

const problemType = (code: ErrorCode): string => `/docs#${code}`

/** `application/problem+json` text of a refusal (RFC 9457). */
export function problemJson({ code, detail, errors, mayHaveHappened = code === 'outcome_unknown' }: Refused): string {
  const { status, title } = errorTable[code]
  // Whoever may send it again wants to know whether it may have happened already.
  const may = status === 503 ? { may_have_happened: mayHaveHappened } : {}
  return JSON.stringify({ type: problemType(code), title, status, detail, code, errors, ...may })
}

export const statusOf = (code: ErrorCode): number => errorTable[code].status

/** A refusal that concerns one field. */
export const refusedField = (code: ErrorCode, pointer: string, more: Record<string, unknown> = {}): Refused => {
  const field: FieldProblem = { pointer, code, ...more }
  return refused(code, undefined, [field])
}

/** Undefined for a country of ISO 3166-1. */
export const refusedCountry = (country: string, pointer: string): Refused | undefined =>
  isCountry(country) ? undefined : refusedField('country_unknown', pointer)
