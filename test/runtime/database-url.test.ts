// One string names the servers of a database, as libpq writes several.
import { expect, test } from 'vitest'
import { serversOf, withoutPassword } from '../../src/runtime/database-url.ts'

test.each([
  ['postgres://u:p@one/db', ['postgres://u:p@one/db']],
  [
    'postgres://u:p%40@one:5432,two:5433/db?sslmode=require&target_session_attrs=read-write',
    ['postgres://u:p%40@one:5432/db?sslmode=require', 'postgres://u:p%40@two:5433/db?sslmode=require'],
  ],
  ['postgres://one,two/db', ['postgres://one/db', 'postgres://two/db']],
  [
    'postgres://u@localhost/db?host=%2Fa%2Cb',
    ['postgres://u@localhost/db?host=%2Fa', 'postgres://u@localhost/db?host=b'],
  ],
])('%s names %j', (url, servers) => {
  expect(serversOf(url)).toEqual(servers)
})

test('a URL is shown without its password, however many servers it names', () => {
  expect(withoutPassword('postgres://user:secret@one:5432,two:5433/db')).toBe(
    'postgres://user:***@one:5432,two:5433/db',
  )
  expect(withoutPassword('postgres://user@one/db')).toBe('postgres://user@one/db')
})
