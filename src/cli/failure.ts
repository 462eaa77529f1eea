// What makes a command stop early: one line for people on standard error, with --json also one object as the last line of
// standard output, and exit code 1. A stack trace is only for faults of ours.
import { HoldfastError } from '@holdfast/sdk'
import { MigrationRefused } from '../runtime/migrate.ts'
import { DatabaseUnavailable, StatementFailed } from '../runtime/pg-failure.ts'
import { asStartFailure } from '../runtime/start-failure.ts'

export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly code: string

  constructor(code: string, line: string) {
    super(line.replace(/\s*\n\s*/g, ' '))
    this.code = code
  }
}

export const usage = (line: string): CommandFailure => new CommandFailure('usage', line)

/** Undefined for what nobody but us can put right. */
export function asFailure(error: unknown): CommandFailure | undefined {
  if (error instanceof CommandFailure) return error
  if (error instanceof HoldfastError)
    return new CommandFailure(
      error.code,
      `${error.status === 0 ? 'No answer from the server' : 'The server says'}: ${error.message.replace(/\.$/, '')}.`,
    )
  if (error instanceof MigrationRefused) return new CommandFailure('migration_refused', error.message)
  if (error instanceof DatabaseUnavailable) return new CommandFailure('database_unreachable', error.message)
  if (error instanceof StatementFailed && ['42P01', '3F000'].includes(error.code))
    return new CommandFailure(
      'not_migrated',
      'The database does not have Holdfast’s tables yet: run holdfast migrate on it.',
    )
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException
  if (code?.startsWith('ERR_PARSE_ARGS_')) return usage(`${message.split('. ')[0]}.`)
  const failure = asStartFailure(error)
  return failure && new CommandFailure(failure.code, failure.message)
}
