// Prometheus and promtool of this machine.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from './eventually.ts'

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
      '--enable-feature=exemplar-storage',
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
