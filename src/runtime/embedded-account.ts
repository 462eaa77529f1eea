// Which account the embedded PostgreSQL runs as. PostgreSQL refuses root, so root starts it as the owner of the data
// folder, or as `nobody` when the folder is new; everybody else starts it as themselves.
import { execFileSync, spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { StartFailure } from './start-failure.ts'

export type Account = { uid: number; gid: number }

/** The account to change to, or undefined when we stay who we are. */
export function postgresAccount(dataFolder: string): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const owner = statSync(dataFolder, { throwIfNoEntry: false })
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  return nobody()
}

/** `nobody` is 65534 on Linux and another number on macOS, so the machine is asked. */
function nobody(): Account {
  try {
    const ask = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }).trim())
    return { uid: ask('-u'), gid: ask('-g') }
  } catch {
    throw new StartFailure(
      'postgres_failed',
      'PostgreSQL does not run as root, and this machine has no user nobody: start Holdfast as an ordinary user.',
    )
  }
}

/** May the account enter the folder by its path? Asked of the kernel, since modes alone do not know of access lists. */
export function canEnter(folder: string, account: Account | undefined): boolean {
  const tried = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], { ...account, cwd: '/', stdio: 'ignore' })
  return tried.status === 0
}
