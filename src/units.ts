// Which modules run together. One unit holds all of them so far; stock and orders share a database and stay together.
import { fileURLToPath } from 'node:url'
import type { MigrationSource } from './runtime/migrate.ts'

const moduleNames = ['shops', 'stock', 'orders', 'payments', 'ledger', 'fulfilment', 'webhooks', 'deadletters'] as const
export type ModuleName = (typeof moduleNames)[number]

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** In the order they run: what all modules build on comes first. */
export const migrationSources: readonly MigrationSource[] = [
  { module: 'runtime', folder: folder('./runtime/migrations') },
  ...moduleNames.map((module) => ({ module, folder: folder(`./modules/${module}/migrations`) })),
]
