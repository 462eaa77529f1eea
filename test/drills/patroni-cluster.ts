// The files of deploy/patroni on one machine: three members with their etcds, one of each in a region's folder, so that a region is
// lost with everything in it. Only what names a machine is changed in them: addresses, folders, certificates, the watchdog.
import { execFileSync, spawn } from 'node:child_process'
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findPorts } from '../../src/cli/ports.ts'
import { type DatabaseUrl, openSql } from '../../src/runtime/database-url.ts'
import { eventually } from '../support/eventually.ts'
import { everyProcess, makeDataFolder, repository } from '../support/holdfast.ts'
import { signalAll } from '../support/signal-all.ts'
import type { PatroniTools } from './patroni-tools.ts'

export type Member = {
  name: string
  /** Of all that is in its region. */
  folder: string
  /** `leader`, `sync_standby`, `replica`, or nothing while nobody answers. */
  role(): Promise<string>
  /** Everything that runs in the region, killed. */
  kill(): Promise<void>
}
export type PatroniCluster = {
  members: Member[]
  /** Of Holdfast's own role: all three members. */
  url: DatabaseUrl
  close(): Promise<void>
}

const letters = ['a', 'b', 'c'] as const
const passwords = { superuser: 'super-of-the-drill', replication: 'copy-of-the-drill', rewind: 'rewind-of-the-drill' }
const ownPassword = 'holdfast-of-the-drill'

type Place = { name: string; folder: string; etcd: number; etcdPeers: number; rest: number; postgres: number }

export async function startPatroniCluster(tools: PatroniTools): Promise<PatroniCluster> {
  const ports = await findPorts({ host: '127.0.0.1', port: 0, count: letters.length * 4 })
  const folders = await Promise.all(letters.map(() => makeDataFolder()))
  const places = letters.map((letter, at): Place => {
    const [etcd, etcdPeers, rest, postgres] = ports.slice(at * 4, at * 4 + 4) as [number, number, number, number]
    return { name: `eu1-${letter}`, folder: folders[at]!.data, etcd, etcdPeers, rest, postgres }
  })
  const close = async (): Promise<void> => {
    for (const { remove } of folders) await remove()
  }
  try {
    for (const place of places) await prepare(place, places, tools)
    for (const place of places) startEtcd(place, places, tools)
    await eventually(async () => (await statusOf(places[0]!.etcd, '/health')) === 200, 30_000)
    for (const place of places) startPatroni(place, tools)
    const members = places.map(memberOf)
    await eventually(async () => (await rolesOf(members)).toSorted().join() === 'leader,replica,sync_standby', 120_000)
    await makeOwnRole(places[(await rolesOf(members)).indexOf('leader')]!, tools.account.name)
    const hosts = places.map(({ postgres }) => `127.0.0.1:${postgres}`).join(',')
    return { members, url: `postgres://holdfast:${ownPassword}@${hosts}/holdfast?sslmode=require`, close }
  } catch (error) {
    await close()
    throw error
  }
}

const rolesOf = (members: readonly Member[]): Promise<string[]> => Promise.all(members.map((member) => member.role()))

function memberOf({ name, folder, rest }: Place): Member {
  return {
    name,
    folder,
    async role() {
      const words = [
        ['leader', '/leader'],
        ['sync_standby', '/synchronous'],
        ['replica', '/replica'],
      ] as const
      for (const [role, path] of words) if ((await statusOf(rest, path)) === 200) return role
      return ''
    },
    kill: () =>
      eventually(() => {
        signalAll(everyProcess(folder))
        return everyProcess(folder).length === 0
      }, 20_000),
  }
}

/** 0: nobody answered. */
const statusOf = (port: number, path: string): Promise<number> =>
  fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2_000) }).then(
    ({ status }) => status,
    () => 0,
  )

/** The folder is the account's; the member's file is that of deploy/patroni, for this machine. */
async function prepare(place: Place, places: readonly Place[], { account }: PatroniTools): Promise<void> {
  const { folder, name } = place
  const [certificate, key] = [join(folder, 'server.crt'), join(folder, 'server.key')]
  const subject = ['-subj', '/CN=localhost', '-days', '2', '-keyout', key, '-out', certificate]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], { stdio: 'ignore' })
  const text = await readFile(join(repository, 'deploy/patroni', `${name}.yml`), 'utf8')
  await writeFile(join(folder, 'patroni.yml'), placed(text, place, places, account.name))
  await mkdir(join(folder, 'member'))
  await chmod(key, 0o600)
  for (const path of [folder, certificate, key, join(folder, 'patroni.yml'), join(folder, 'member')])
    await chown(path, account.uid, account.gid)
}

/** Each of these must be there, or the drill runs something else than is deployed. */
function placed(text: string, place: Place, places: readonly Place[], account: string): string {
  const { folder, rest, postgres } = place
  const changes: [RegExp, string][] = [
    [/listen: 0\.0\.0\.0:8008/, `listen: 127.0.0.1:${rest}`],
    [/connect_address: [\d.]+:8008/, `connect_address: 127.0.0.1:${rest}`],
    [/hosts: \S+/, `hosts: ${places.map(({ etcd }) => `127.0.0.1:${etcd}`).join(',')}`],
    [/listen: 0\.0\.0\.0:5432/, `listen: 127.0.0.1:${postgres}`],
    [/connect_address: [\d.]+:5432/, `connect_address: 127.0.0.1:${postgres}`],
    [/data_dir: \S+/, `data_dir: ${join(folder, 'member', 'pg')}`],
    [/pgpass: \S+/, `pgpass: ${join(folder, 'member', 'pgpass')}`],
    [/unix_socket_directories: \S+/, `unix_socket_directories: ${folder}`],
    [/ssl_cert_file: \S+/, `ssl_cert_file: ${join(folder, 'server.crt')}`],
    [/ssl_key_file: \S+/, `ssl_key_file: ${join(folder, 'server.key')}`],
    [/username: postgres/, `username: ${account}`],
    [/replication replicator 10\.0\.0\.0\/8/, 'replication replicator 127.0.0.0/8'],
    [/hostssl all all 10\.0\.0\.0\/8/, 'hostssl all all 127.0.0.0/8'],
    [/mode: required/, 'mode: off'], // there is none in most virtual machines
  ]
  return changes.reduce((changed, [pattern, by]) => {
    if (!pattern.test(changed)) throw new Error(`deploy/patroni has no ${pattern} any more: change the drill with it`)
    return changed.replace(pattern, by)
  }, text)
}

function startEtcd({ name, folder, etcd, etcdPeers }: Place, places: readonly Place[], tools: PatroniTools): void {
  const clients = `http://127.0.0.1:${etcd}`
  const peers = `http://127.0.0.1:${etcdPeers}`
  const all = places.map((place) => `${place.name}=http://127.0.0.1:${place.etcdPeers}`).join(',')
  run('etcd', tools, folder, {}, [
    ...['--name', name, '--data-dir', join(folder, 'etcd'), '--initial-cluster', all],
    ...['--listen-client-urls', clients, '--advertise-client-urls', clients],
    ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
  ])
}

function startPatroni({ folder }: Place, tools: PatroniTools): void {
  const variables = {
    PATRONI_SUPERUSER_PASSWORD: passwords.superuser,
    PATRONI_REPLICATION_PASSWORD: passwords.replication,
    PATRONI_REWIND_PASSWORD: passwords.rewind,
    PATRONI_POSTGRESQL_BIN_DIR: tools.postgresBin,
    PGHOST: folder,
  }
  run('patroni', tools, folder, variables, [join(folder, 'patroni.yml')])
}

/** What it says goes to its region's folder. */
function run(
  program: string,
  { account }: PatroniTools,
  folder: string,
  variables: Record<string, string>,
  args: readonly string[],
): void {
  const command = 'exec "$0" "$@" >>"$LOG" 2>&1'
  const env = { PATH: process.env.PATH, LANG: 'C.UTF-8', LOG: join(folder, `${program}.log`), ...variables }
  spawn('sh', ['-c', command, program, ...args], {
    ...{ uid: account.uid, gid: account.gid, cwd: folder, env },
    ...{ stdio: 'ignore', detached: true },
  }).unref()
}

async function makeOwnRole({ postgres }: Place, superuser: string): Promise<void> {
  const url = (database: string) =>
    `postgres://${superuser}:${passwords.superuser}@127.0.0.1:${postgres}/${database}?sslmode=require`
  const sql = openSql(url('postgres'), { max: 1 })
  try {
    await sql.unsafe(`create role holdfast login password '${ownPassword}'`)
    await sql.unsafe('grant pg_monitor to holdfast')
    await sql.unsafe('create database holdfast owner holdfast')
  } finally {
    await sql.end()
  }
}
