// `holdfast bench NAME`: the benches of the checkout, as `npm run bench` runs them, in a process of their own.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../bench/main.ts', import.meta.url))

/** Answers the bench's own exit code; its last line is one JSON object with or without --json. */
export function bench(args: string[]): Promise<number> {
  const child = spawn(process.execPath, [program, ...args.filter((arg) => arg !== '--json')], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}
