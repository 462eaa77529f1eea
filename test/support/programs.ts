// Programs of the system that some tests need: on Debian and its like they are installed when they are missing and we are root;
// else the tests that need them say so and are passed over.
import { spawnSync } from 'node:child_process'

const packageOf = { prometheus: 'prometheus', promtool: 'prometheus', chromium: 'chromium' }

/** Whether they are all here now; says on standard error which are not. */
export function findPrograms(...wanted: (keyof typeof packageOf)[]): boolean {
  const missing = () => wanted.filter((name) => !has(name))
  const packages = [...new Set(missing().map((name) => packageOf[name]))]
  if (packages.length > 0 && process.getuid?.() === 0 && has('apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...packages]])
      spawnSync('apt-get', args, { env, stdio: 'ignore' })
  }
  for (const name of missing())
    console.error(`Passed over what needs ${name}: it is missing (apt-get install ${packageOf[name]})`)
  return missing().length === 0
}

const has = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0
