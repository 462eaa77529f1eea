// `npm test`: lint, types, the pages' build and every test. What is before the tests counts as a test each; what fails without
// naming a test counts as one too, so that "0 failed" is only ever said of a run that was whole. The last line is the sum, alone.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

type Sum = { passed: number; failed: number }

const repository = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const runMsMax = 40 * 60 * 1000

async function main(filters: string[]): Promise<number> {
  const sums = [
    await check('lint', binOf('@biomejs/biome', 'biome'), ['check', '--error-on-warnings', '.']),
    await check('types', binOf('typescript', 'tsc'), ['-p', 'tsconfig.json']),
    await check('types of the pages', binOf('typescript', 'tsc'), ['-p', 'web/tsconfig.json']),
    await check('pages', 'web/build.ts', []), // once, before tests start cells that would each build what is missing
    await vitest(filters),
  ]
  const passed = sums.reduce((sum, one) => sum + one.passed, 0)
  const failed = sums.reduce((sum, one) => sum + one.failed, 0)
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
}

async function check(name: string, program: string, args: string[]): Promise<Sum> {
  const startedAt = performance.now()
  const code = await run(program, args)
  process.stdout.write(`${code === 0 ? '✓' : '✗'} ${name} ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`)
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

async function vitest(filters: string[]): Promise<Sum> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-run-'))
  const report = join(folder, 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const code = await run(binOf('vitest', 'vitest'), ['run', ...reporters, ...filters])
  const text = await readFile(report, 'utf8').catch(() => '{}')
  await rm(folder, { recursive: true, force: true })
  const { numPassedTests = 0, numFailedTests = 0 } = JSON.parse(text) as Partial<
    Record<'numPassedTests' | 'numFailedTests', number>
  >
  const unnamed = code !== 0 && numFailedTests === 0 ? 1 : 0 // a file that does not load, a leaked connection
  return { passed: numPassedTests, failed: numFailedTests + unnamed }
}

/** The program's file, so that no shell and no PATH is in between. */
function binOf(pack: string, bin: string): string {
  const manifestPath = join(repository, 'node_modules', pack, 'package.json')
  const { bin: bins } = require(manifestPath) as { bin: string | Record<string, string> }
  return join(dirname(manifestPath), typeof bins === 'string' ? bins : bins[bin]!)
}

/** Answers the exit code; what takes far too long is ended and counts as failed. */
async function run(program: string, args: string[]): Promise<number> {
  const child = spawn(process.execPath, [program, ...args], { cwd: repository, stdio: 'inherit', timeout: runMsMax })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

process.exitCode = await main(process.argv.slice(2))
