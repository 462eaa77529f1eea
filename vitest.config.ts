// Two groups: logic on one shared, throw-away PostgreSQL, two files at a time; then tests that start and kill real processes
// and mostly wait for them, three at a time. None of them asserts how long something takes.
import { defineConfig } from 'vitest/config'

const processes = ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts']

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({
  test: {
    globalSetup: ['test/support/postgres-server.ts'],
    setupFiles: ['test/support/postgres-cleanup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'logic',
          include: ['test/**/*.test.ts', 'src/**/*.test.ts', 'sdk/src/**/*.test.ts'],
          exclude: [...processes, '**/node_modules/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: processes,
          exclude: ['**/node_modules/**'],
          maxWorkers: 3,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
