// A database address is one string everywhere: a libpq URL. A Unix socket is `?host=/folder` in it, as libpq writes it,
// which postgres.js does not read by itself; everything that opens connections does it through here.
import postgres from 'postgres'

export type DatabaseUrl = string

/** The URL of a database behind a Unix socket. */
export function socketUrl(at: { folder: string; user: string; password: string; database: string }): DatabaseUrl {
  const url = new URL(`postgres://localhost/${encodeURIComponent(at.database)}`)
  url.username = at.user
  url.password = at.password
  url.searchParams.set('host', at.folder)
  return url.href
}

/** The same server, another database. */
export function withDatabase(url: DatabaseUrl, database: string): DatabaseUrl {
  const other = new URL(url)
  other.pathname = `/${encodeURIComponent(database)}`
  return other.href
}

/** The same, for sessions whose COMMIT waits for so much. */
export function withSynchronousCommit(url: DatabaseUrl, value: 'local'): DatabaseUrl {
  const other = new URL(url)
  other.searchParams.set('options', `-c synchronous_commit=${value}`)
  return other.href
}

/** The URL without its password, for logs and printed lines. */
export const withoutPassword = (url: DatabaseUrl): string => url.replace(/^([a-z]+:\/\/[^:@/]*):[^@/]*@/, '$1:***@')

/**
 * The URLs of the servers that one URL names, as libpq writes several: `postgres://user@one:5432,two:5433/db`, or folders of
 * sockets in `?host=/one,/two`. Which of them can be written to is found out by asking, so `target_session_attrs` says nothing new.
 */
export function serversOf(url: DatabaseUrl): DatabaseUrl[] {
  const [, before = '', hosts = '', after = ''] = /^([a-z]+:\/\/(?:[^@/?]*@)?)([^/?]*)(.*)$/.exec(url) ?? []
  return hosts.split(',').flatMap((host) => {
    const one = new URL(`${before}${host}${after}`)
    one.searchParams.delete('target_session_attrs')
    const folders = one.searchParams.get('host')?.split(',') ?? []
    if (folders.length < 2) return [one.href]
    return folders.map((folder) => {
      one.searchParams.set('host', folder)
      return one.href
    })
  })
}

/** A postgres.js pool for the URL; `options` win over what the URL says. */
export function openSql<T extends Record<string, postgres.PostgresType> = Record<never, postgres.PostgresType>>(
  url: DatabaseUrl,
  options: postgres.Options<T> = {},
): ReturnType<typeof postgres<T>> {
  const address = new URL(url)
  const host = address.searchParams.get('host')
  if (host === null) return postgres<T>(url, options)
  address.searchParams.delete('host')
  return postgres<T>(address.href, { host, ...options })
}
