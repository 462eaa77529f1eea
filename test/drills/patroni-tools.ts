// What a drill of Patroni needs of this machine: Patroni itself, etcd, and the server programs of a PostgreSQL. On Debian and its
// like they are installed when they are missing and we are root; else the drill says what it lacks.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'

export type PatroniTools = {
  /** Where initdb, pg_ctl and pg_basebackup are. */
  postgresBin: string
  postgresMajor: number
  /** Whom Patroni and PostgreSQL run as: no root. */
  account: { name: string; uid: number; gid: number }
}

const packages = ['patroni', 'etcd-server', 'postgresql', 'openssl']

/** Throws with one line that says what is missing. */
export function findPatroniTools(): PatroniTools {
  if (missing().length > 0) install()
  const lacking = missing()
  if (lacking.length > 0)
    throw new Error(`Patroni is not run: ${lacking.join(', ')} is missing (apt-get install ${packages.join(' ')})`)
  const { major, bin } = postgres()!
  return { postgresBin: bin, postgresMajor: major, account: accountOf() }
}

const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0

function missing(): string[] {
  const programs = ['patroni', 'etcd', 'openssl'].filter((program) => !has(program))
  return postgres() ? programs : [...programs, 'PostgreSQL (14 or newer)']
}

function postgres(): { major: number; bin: string } | undefined {
  const folder = '/usr/lib/postgresql'
  const majors = existsSync(folder) ? readdirSync(folder).map(Number) : []
  const major = Math.max(0, ...majors.filter((one) => existsSync(join(folder, String(one), 'bin', 'initdb'))))
  return major >= 14 ? { major, bin: join(folder, String(major), 'bin') } : undefined
}

function install(): void {
  if (process.getuid?.() !== 0 || !has('apt-get')) return
  console.error(`installing ${packages.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...packages]]) {
    const { status, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' })
    if (status !== 0) console.error(`apt-get ${args[0]}: ${stderr.trim().split('\n').at(-1)}`)
  }
}

/** The account that Debian's package makes; without root, whoever we are. */
function accountOf(): PatroniTools['account'] {
  if (process.getuid?.() !== 0) {
    const { username, uid, gid } = userInfo()
    return { name: username, uid, gid }
  }
  const ask = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { name: 'postgres', uid: ask('-u'), gid: ask('-g') }
}
