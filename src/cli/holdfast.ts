#!/usr/bin/env node
// The command line: finds the command and runs it. What a user can put right is one line and exit code 1, with --json one
// object; a stack trace is a fault of ours.
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { release } from '../runtime/release.ts'

// Halves the time to load the server, and so the time without it after a crash. Beside the code, and as trusted as it.
enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/holdfast', import.meta.url)))

/** `run` answers the exit code. */
type Command = { run: (args: string[]) => Promise<number>; help?: string }

type Entry = { summary?: string; load: () => Promise<Command> }

/** Loaded on use, so that one command does not pay for the others. Without a summary: for Holdfast's own processes. */
const commands: Record<string, Entry> = {
  start: {
    summary: 'Runs Holdfast: the API and, unless --database-url is given, its PostgreSQL',
    load: () => import('./start.ts').then(({ start, startHelp }) => ({ run: start, help: startHelp })),
  },
  cells: {
    summary: 'Lists, adds, drains and removes cells, and stops and starts those of this machine',
    load: () => import('./cells.ts').then(({ cells, cellsHelp }) => ({ run: cells, help: cellsHelp })),
  },
  cell: { load: () => import('./cell.ts').then(({ cell }) => ({ run: cell })) },
  migrate: {
    summary: 'Brings a database to the schema of this version',
    load: () => import('./migrate.ts').then(({ migrate, migrateHelp }) => ({ run: migrate, help: migrateHelp })),
  },
  seed: {
    summary: 'Fills a running server with a small demonstration shop',
    load: () => import('./seed.ts').then(({ seed, seedHelp }) => ({ run: seed, help: seedHelp })),
  },
  demo: {
    summary: 'Lets orders live their whole life on a running server, paid by the test provider',
    load: () => import('./demo.ts').then(({ demo, demoHelp }) => ({ run: demo, help: demoHelp })),
  },
  replay: {
    summary: 'Sells a published year of real orders again, on a running server',
    load: () => import('./replay.ts').then(({ replay, replayHelp }) => ({ run: replay, help: replayHelp })),
  },
  bench: {
    summary: 'Measures this machine: engine, orders, checkout, webhooks and others',
    load: () => import('./bench.ts').then(({ bench }) => ({ run: bench })),
  },
  keys: {
    summary: 'Makes, lists and revokes the keys of a shop',
    load: () => import('./keys.ts').then(({ keys, keysHelp }) => ({ run: keys, help: keysHelp })),
  },
  reconcile: {
    summary: 'Compares payments with their providers, and a restored cell with the others',
    load: () =>
      import('./reconcile.ts').then(({ reconcile, reconcileHelp }) => ({ run: reconcile, help: reconcileHelp })),
  },
  settings: {
    summary: 'Shows and sets what a shop has decided',
    load: () => import('./settings.ts').then(({ settings, settingsHelp }) => ({ run: settings, help: settingsHelp })),
  },
  dead: {
    summary: 'Lists, shows, retries and drops what was given up',
    load: () => import('./dead.ts').then(({ dead, deadHelp }) => ({ run: dead, help: deadHelp })),
  },
  consumer: {
    summary: 'Lists, pauses, resumes and rewinds the consumers of the log',
    load: () => import('./consumer.ts').then(({ consumer, consumerHelp }) => ({ run: consumer, help: consumerHelp })),
  },
  doctor: {
    summary: 'Looks at a deployment that runs, and says what is wrong and what to do',
    load: () => import('./doctor.ts').then(({ doctor, doctorHelp }) => ({ run: doctor, help: doctorHelp })),
  },
  audit: {
    summary: 'Recomputes every counter from the log and compares',
    load: () => import('./audit.ts').then(({ audit, auditHelp }) => ({ run: audit, help: auditHelp })),
  },
}

async function main([name = '--help', ...args]: string[]): Promise<number> {
  if (['--help', '-h', 'help'].includes(name)) return print(help())
  if (['--version', '-v'].includes(name)) return print(release)
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!entry)
    return fail('holdfast', args, {
      code: 'usage',
      message: `There is no command ${JSON.stringify(name)}. See holdfast --help.`,
    })
  const command = await entry.load()
  if (command.help && args.some((arg) => arg === '--help' || arg === '-h')) return print(command.help)
  try {
    return await command.run(args)
  } catch (error) {
    const { asFailure } = await import('./failure.ts')
    const failure = asFailure(error)
    if (!failure) throw error
    return fail(`holdfast ${name}`, args, failure)
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

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

function fail(who: string, args: string[], { code, message }: { code: string; message: string }): number {
  process.stderr.write(`${who}: ${message}\n`)
  if (args.includes('--json')) print(JSON.stringify({ error: { code, message } }))
  return 1
}

process.exitCode = await main(process.argv.slice(2))
