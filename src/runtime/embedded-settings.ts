// The settings of the embedded PostgreSQL. They are a file beside postgresql.conf, compared before an orphan is
// adopted: a server that runs with others is stopped and started anew. Durability is never traded here.
import { totalmem } from 'node:os'

export type EmbeddedSettings = Record<string, string>

const mib = 1024 * 1024

/** At most 512 MiB, and of a small machine an eighth, which its cells share. */
const sharedBuffers = (cells: number): string =>
  `${Math.max(32, Math.min(512, Math.floor(totalmem() / mib / 8 / cells)))}MB`

/** For a 2-core machine that holds the server and its clients; measured choices say so. */
const settings: EmbeddedSettings = {
  listen_addresses: "''", // the Unix socket only
  max_connections: '100',
  superuser_reserved_connections: '3',

  shared_buffers: sharedBuffers(1),
  work_mem: '16MB',
  maintenance_work_mem: '128MB',

  // The log: no more of it since the last checkpoint than a crash replays in a few seconds; lz4 is not built into the npm packages
  wal_level: 'replica',
  synchronous_commit: 'on',
  wal_compression: 'off', // pglz, the only method these binaries have, took 11 × the time of a random insert after a checkpoint
  max_wal_size: '512MB', // 8 GB took more than 10 s to be back after 50 s of load, and up to a minute and a half after more
  min_wal_size: '256MB',
  checkpoint_timeout: '15min',
  checkpoint_completion_target: '0.9',

  // Plans: short statements by key on an SSD
  random_page_cost: '1.1',
  effective_io_concurrency: '64',
  jit: 'off',
  max_parallel_workers_per_gather: '0',

  // Hot tables: stock rows are updated thousands of times a second, orders only grow
  autovacuum_max_workers: '3',
  autovacuum_naptime: '5s',
  autovacuum_vacuum_scale_factor: '0.05',
  autovacuum_vacuum_insert_scale_factor: '0.2',
  autovacuum_analyze_scale_factor: '0.05',
  autovacuum_vacuum_cost_delay: '1ms',
  autovacuum_vacuum_cost_limit: '2000',

  // How long statements take, for who looks after it; in shared memory, a few microseconds for each statement of hundreds of orders
  shared_preload_libraries: "'pg_stat_statements'",
  'pg_stat_statements.max': '1000',

  // A client that hangs does not hold its locks for ever
  idle_in_transaction_session_timeout: '30s',
  tcp_keepalives_idle: '30',
  client_connection_check_interval: '1s',

  timezone: "'UTC'",
  log_timezone: "'UTC'",
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  log_line_prefix: "'%m [%p] '",
}

/** Of one of several servers that share a machine. Nothing waits inside COMMIT for a standby: that is the gate's part. */
export const settingsBeside = (servers: number): EmbeddedSettings => ({
  shared_buffers: sharedBuffers(servers),
  synchronous_commit: 'local',
  max_slot_wal_keep_size: '4GB',
})

/** Logic tests only: a crash may lose everything, a commit does not wait for the disk. */
export const throwAwaySettings: EmbeddedSettings = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  shared_buffers: '128MB',
  max_connections: '300',
}

export const settingsFile = 'holdfast.conf'

/** The text of `holdfast.conf`. `version` is the package's, so that an update restarts an orphan of the old one. */
export function settingsText(version: string, changed: EmbeddedSettings = {}): string {
  const lines = Object.entries({ ...settings, ...changed }).map(([name, value]) => `${name} = ${value}`)
  return [
    `# Written by holdfast at every start (PostgreSQL package ${version}); your own settings go to postgresql.auto.conf.`,
    ...lines,
    '',
  ].join('\n')
}
