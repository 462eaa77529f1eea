#!/usr/bin/env node
// The command line: finds the command and runs it. What a user can put right is one line and exit code 1 (`StartFailure`);
// a stack trace is a fault of ours.
import { asStartFailure } from '../runtime/start-failure.ts'

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
    const failure = asStartFailure(error)
    if (!failure) throw error
    process.stderr.write(`holdfast ${name}: ${failure.message}\n`)
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
