// docs/generated/ERRORS.md: what each code means to the caller and to the operator.
import { type ErrorKind, errorTable } from '../../src/base/errors.ts'

export function errorsPage(): string {
  const rows = Object.entries(errorTable).map(
    ([code, { status, title, retry, caller, operator }]: [string, ErrorKind]) =>
      [`<a id="${code}"></a>\`${code}\``, status, title, retry ? 'yes' : 'no', caller, operator].join(' | '),
  )
  return [
    '# Error codes',
    '',
    'Made from `src/base/errors.ts`. Every refusal is `application/problem+json` (RFC 9457) with a stable `code`.',
    '“Retry” says whether the same request may succeed later, unchanged; it is safe with the same `Idempotency-Key`.',
    '',
    '| code | status | meaning | retry | the caller | the operator |',
    '|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n')
}
