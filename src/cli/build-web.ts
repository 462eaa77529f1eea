// The control room is built when it is missing, beside the cells and not before them: they run whether it succeeds or not, and `/`
// says what is missing until it is there.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Log } from '../runtime/log.ts'

/** What npm run build:web runs. */
export const webBuild = fileURLToPath(new URL('../../web/build.ts', import.meta.url))

/** Into `dist` beside `program`. Resolves when it is there, has failed, or `stopping` has ended it. */
export async function buildWebIfMissing(
  program: string,
  log: Pick<Log, 'info' | 'warn'>,
  stopping: AbortSignal,
): Promise<void> {
  const folder = dirname(program)
  const isThere = existsSync(join(folder, 'dist/index.html'))
  if (isThere || !existsSync(join(folder, 'index.html')) || stopping.aborted) return
  log.info('the control room is being built, as by npm run build:web')
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'ignore', 'pipe'], signal: stopping })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-2_000)
  })
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', resolve)
  })
  if (stopping.aborted) return
  if (code === 0) log.info('the control room is built')
  else log.warn({ why: reasonIn(said) }, 'the control room could not be built: npm ci, and then npm run build:web')
}

/** The line of Node or vite that says what is wrong. */
const reasonIn = (said: string): string => /^.*\b\w*Error\b.*$/m.exec(said)?.[0] ?? said.trim().split('\n').at(-1) ?? ''
