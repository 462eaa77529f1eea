// What can stop a start: each one a code and one line that says what to do. The command line prints the line and
// exits with 1; a stack trace is only for faults of ours.

export type StartFailureCode =
  | 'usage'
  | 'port_in_use'
  | 'data_folder_broken'
  | 'data_folder_denied'
  | 'data_folder_in_use'
  | 'disk_full'
  | 'version_mismatch'
  | 'not_durable'
  | 'database_unreachable'
  | 'postgres_missing'
  | 'postgres_failed'
  | 'topology_refused'
  | 'cell_ended'

export class StartFailure extends Error {
  override readonly name = 'StartFailure'
  readonly code: StartFailureCode

  constructor(code: StartFailureCode, line: string) {
    super(line.replace(/\s*\n\s*/g, ' '))
    this.code = code
  }
}

/** The failure as it is, or a file system's refusal as one line; anything else is our bug and stays a stack trace. */
export function asStartFailure(error: unknown): StartFailure | undefined {
  if (error instanceof StartFailure) return error
  const { code, path, message } = (error ?? {}) as NodeJS.ErrnoException
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new StartFailure(
      'data_folder_denied',
      `No permission for ${path ?? message}: choose another --data, or start as its owner.`,
    )
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return new StartFailure(
      'data_folder_broken',
      `${path ?? message} is a file where a folder is needed: choose another --data.`,
    )
  if (code === 'ENOSPC') return new StartFailure('disk_full', `No space left on the disk (${path ?? message}).`)
  return undefined
}
