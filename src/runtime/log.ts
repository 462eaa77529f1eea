// The log: pino, as one JSON object a line, or as short text for people. It goes to standard error, so that what a
// command prints can be piped. Ids only: no personal data, no keys, no bodies.
import { type Logger, pino } from 'pino'
import type { LogLevel } from './config.ts'

export type Log = Logger

export type LogOptions = { level: LogLevel; json: boolean; name: string }

export function openLog(options: LogOptions): Log {
  const { level, name } = options
  if (options.json)
    return pino(
      { level, base: { cell: name, pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
      pino.destination({ fd: 2, sync: true }),
    )
  return pino({ level, base: { cell: name } }, { write: (line: string) => void process.stderr.write(asText(line)) })
}

/** `12:03:04.123 warn  eu1 PostgreSQL was lost pid=41` */
function asText(line: string): string {
  const { level, time, cell, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>
  const at = new Date(time as number).toISOString().slice(11, 23)
  const label = (pino.levels.labels[level as number] ?? '').padEnd(5)
  const fields = Object.entries(rest).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const stack = (err as { stack?: string } | undefined)?.stack
  return `${[at, label, cell, msg, ...fields].join(' ')}\n${stack ? `${stack}\n` : ''}`
}
