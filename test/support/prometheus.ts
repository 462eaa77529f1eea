// Prometheus and promtool of this machine: on Debian and its like they are installed when they are missing and we are root; else the
// tests that need them say so and are passed over.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'

const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0

/** Whether it is here now; says on standard error when it is not. */
export function findPrometheus(): boolean {
  const isHere = () => has('prometheus') && has('promtool')
  if (!isHere() && process.getuid?.() === 0 && has('apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'prometheus']])
      spawnSync('apt-get', args, { env, stdio: 'ignore' })
  }
  if (!isHere()) console.error('Rules are not tested: prometheus is missing (apt-get install prometheus)')
  return isHere()
}

export function promtool(args: string[], cwd: string): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd, encoding: 'utf8' })
  return { code: status, output: stdout + stderr }
}

export type Prometheus = {
  // biome-ignore lint/suspicious/noExplicitAny: tests read what was answered and fail when it is not there
  get(path: string): Promise<any>
  stop(): Promise<void>
}

/** Ready, on a free port, with a configuration of its own. */
export async function startPrometheus(config: object): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-prometheus-'))
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config)) // JSON is YAML
  const port = await freePort()
  const child = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  const gone = ended(child)
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).json()
  const stop = async () => {
    child.kill('SIGKILL')
    await gone
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`prometheus ended: ${said}`)
      return (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => undefined))?.ok === true
    }, 20_000)
  } catch (error) {
    await stop()
    throw error
  }
  return { get, stop }
}

const ended = (child: ChildProcess): Promise<void> => new Promise((resolve) => child.once('exit', () => resolve()))

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
