// One embedded PostgreSQL for a whole test run, without fsync; its folder goes when the run ends. A run that was killed
// leaves its server behind: the next run, which sees from the folder's name whose it was, removes it.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '../../src/runtime/embedded.ts'
import { isAlive, readPostmaster, stopServer } from '../../src/runtime/embedded-postmaster.ts'
import { throwAwaySettings } from '../../src/runtime/embedded-settings.ts'

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string
  }
}

const prefix = 'holdfast-test-'

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await removeKilledRuns()
  const folder = await mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`))
  const server = await startEmbedded({ folder, settings: throwAwaySettings, durable: false })
  project.provide('postgresUrl', server.url)
  return async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function removeKilledRuns(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = name.startsWith(prefix) ? Number(name.slice(prefix.length).split('-')[0]) : Number.NaN
    if (!(owner > 0) || isAlive(owner)) continue
    const cluster = join(tmpdir(), name, 'pg')
    const server = await readPostmaster(cluster)
    if (server && isAlive(server.pid)) await stopServer(cluster, server.pid)
    await rm(join(tmpdir(), name), { recursive: true, force: true })
  }
}
