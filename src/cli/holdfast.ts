#!/usr/bin/env node
// The command line: finds the command and runs it. What a user can put right is one line and exit code 1 (failure.ts);
// a stack trace is a fault of ours.

/** Answers the exit code. */
export type Command = (args: string[]) => Promise<number>

type Entry = { summary?: string; load: () => Promise<Command> }

/** A command without a summary is for Holdfast's own processes. Loaded on use, so that `--help` costs nothing. */
const commands: Record<string, Entry> = {
  start: {
    summary: 'Runs Holdfast: the API and, unless --database-url is given, its PostgreSQL',
    load: async () => (await import('./start.ts')).start,
  },
  cell: { load: async () => (await import('./cell.ts')).cell },
  migrate: {
    summary: 'Brings a database to the schema of this version',
    load: async () => {
      const { migrate, migrateHelp } = await import('./migrate.ts')
      return helped(migrateHelp, migrate)
    },
  },
  seed: {
    summary: 'Fills a running server with a small demonstration shop',
    load: async () => {
      const { seed, seedHelp } = await import('./seed.ts')
      return helped(seedHelp, seed)
    },
  },
  replay: {
    summary: 'Sells a published year of real orders again, on a running server',
    load: async () => {
      const { replay, replayHelp } = await import('./replay.ts')
      return helped(replayHelp, replay)
    },
  },
  keys: {
    summary: 'Makes, lists and revokes the keys of a shop',
    load: async () => {
      const { keys, keysHelp } = await import('./keys.ts')
      return helped(keysHelp, keys)
    },
  },
  audit: {
    summary: 'Recomputes every counter from the log and compares',
    load: async () => {
      const { audit, auditHelp } = await import('./audit.ts')
      return helped(auditHelp, audit)
    },
  },
}

/** The command, which prints its help when it is asked for. */
function helped(help: string, command: Command): Command {
  return async (args) => (args.includes('--help') || args.includes('-h') ? print(help) : command(args))
}

async function main([name = '--help', ...args]: string[]): Promise<number> {
  if (['--help', '-h', 'help'].includes(name)) return print(help())
  if (['--version', '-v'].includes(name)) return print(await version())
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!entry) {
    process.stderr.write(`holdfast: there is no command ${JSON.stringify(name)}. See holdfast --help.\n`)
    return 1
  }
  const command = await entry.load()
  try {
    return await command(args)
  } catch (error) {
    const { asFailure } = await import('./failure.ts')
    const failure = asFailure(error)
    if (!failure) throw error
    process.stderr.write(`holdfast ${name}: ${failure.message}\n`)
    if (args.includes('--json')) print(JSON.stringify({ error: { code: failure.code, message: failure.message } }))
    return 1
  }
}

function help(): string {
  const lines = Object.entries(commands).flatMap(([name, { summary }]) =>
    summary ? [`  ${name.padEnd(10)}${summary}`] : [],
  )
  return ['Usage: holdfast <command> [options]', '', ...lines, '', 'holdfast <command> --help tells its options.'].join(
    '\n',
  )
}

async function version(): Promise<string> {
  const { default: manifest } = await import('../../package.json', { with: { type: 'json' } })
  return manifest.version
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

process.exitCode = await main(process.argv.slice(2))
