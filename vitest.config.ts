// Three groups: logic on one shared, throw-away PostgreSQL, two files at a time; then tests that start and kill real processes
// and mostly wait for them, three at a time; then those that start several cells or servers, one at a time, since each takes
// the whole of a small machine. None of them asserts how long something takes.
import { defineConfig } from 'vitest/config'

const processes = ['test/e2e/**/*.test.ts', 'test/chaos/**/*.test.ts']
const severalCells = [
  'test/web/**/*.test.ts',
  'test/chaos/cells.test.ts',
  'test/chaos/dependencies.test.ts',
  'test/e2e/cells.test.ts',
  'test/e2e/cells-topology.test.ts',
  'test/e2e/doctor.test.ts',
  'test/e2e/geo.test.ts',
  'test/e2e/restore.test.ts',
  'test/observability/prometheus.test.ts',
]

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({
  test: {
    globalSetup: ['test/support/postgres-server.ts'],
    setupFiles: ['test/support/property-seed.ts', 'test/support/postgres-cleanup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'logic',
          include: ['test/**/*.test.ts', 'src/**/*.test.ts', 'sdk/src/**/*.test.ts', 'web/src/**/*.test.ts'],
          exclude: [...processes, ...severalCells, '**/node_modules/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: processes,
          exclude: [...severalCells, '**/node_modules/**'],
          maxWorkers: 3,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'cells',
          include: severalCells,
          maxWorkers: 1,
          testTimeout: 150_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
