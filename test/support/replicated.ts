// Two real servers of the test's own, the second a synchronous standby of the first, with a way between them that can be slow.
// Without fsync, unless it is asked for: what is tested is what one of them has got, not what a disk keeps.
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DatabaseUrl, socketUrl } from '../../src/runtime/database-url.ts'
import { type Embedded, startEmbedded } from '../../src/runtime/embedded.ts'
import { processesIn } from '../../src/runtime/embedded-postmaster.ts'
import { settingsBeside, throwAwaySettings } from '../../src/runtime/embedded-settings.ts'
import { type EmbeddedStandby, setSynchronousStandby, startStandby } from '../../src/runtime/embedded-standby.ts'
import { signalAll } from './signal-all.ts'

export type Replicated = {
  primary: Embedded
  standby: EmbeddedStandby
  /** All processes of the standby stand still, or go on. */
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

const throwAway = { ...throwAwaySettings, synchronous_commit: 'local', shared_buffers: '32MB', max_connections: '60' }

/** `delayMs`: how long every byte is on its way, each way. `durable`: as the product runs them. */
export async function startReplicated({ delayMs = 0, durable = false, parent = tmpdir() } = {}): Promise<Replicated> {
  const settings = durable ? settingsBeside(2) : throwAway
  const folder = await mkdtemp(join(parent, `holdfast-test-${process.pid}-replicated-`))
  await chmod(folder, 0o711) // PostgreSQL runs as another account when we are root
  const primary = await startEmbedded({ folder: join(folder, 'eu1'), settings, durable })
  const way = delayMs > 0 ? await slowWay(primary.url, delayMs) : undefined
  const standby = await startStandby({
    cellFolder: join(folder, 'eu1'),
    region: 'us',
    primary,
    primaryUrl: way?.url,
    settings,
    durable,
  })
  await setSynchronousStandby(primary.url, standby.name)
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    signalAll(processesIn(standby.cluster), name)
  }
  return {
    primary,
    standby,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async stop() {
      signal('SIGCONT')
      await standby.stop()
      await primary.stop()
      await way?.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A socket of PostgreSQL's kind, through which the real one is reached later than it would be. */
async function slowWay(target: DatabaseUrl, delayMs: number) {
  const { username, password, pathname, searchParams } = new URL(target)
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-way-'))
  await chmod(folder, 0o755)
  const socket = '.s.PGSQL.5432'
  const open = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = createConnection(join(searchParams.get('host')!, socket))
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from)
      from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), delayMs))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(join(folder, socket), resolve))
  await chmod(join(folder, socket), 0o777)
  return {
    url: socketUrl({ folder, user: username, password: decodeURIComponent(password), database: pathname.slice(1) }),
    async close() {
      for (const one of open) one.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}
