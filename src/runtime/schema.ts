// Where the runtime's own migrations are; they run before every module's.
import { fileURLToPath } from 'node:url'
import type { MigrationSource } from './migrate.ts'

export const runtimeMigrations: MigrationSource = {
  module: 'runtime',
  folder: fileURLToPath(new URL('./migrations', import.meta.url)),
}
