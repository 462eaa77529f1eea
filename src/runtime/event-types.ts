// Which event types somebody wants: names like `order.placed`, all of a noun as `order.*`, or `*` for every type.

/** Undefined wants every type. */
export type TypeFilter = { names: ReadonlySet<string>; nouns: ReadonlySet<string> } | undefined

const pattern = /^[a-z][a-z_]{0,39}\.(\*|[a-z][a-z_]{0,39})$/
const patternsMax = 20

/** `order.*,stock.adjusted`; absent, empty or `*` wants every type. `invalid` when it is no such list. */
export function parseTypes(text: string | undefined): TypeFilter | 'invalid' {
  if (text === undefined || text === '') return undefined
  const parts = text.split(',').map((part) => part.trim())
  if (parts.length > patternsMax) return 'invalid'
  if (parts.some((part) => part !== '*' && !pattern.test(part))) return 'invalid'
  if (parts.includes('*')) return undefined
  const nouns = parts.filter((part) => part.endsWith('.*')).map((part) => part.slice(0, -2))
  return { names: new Set(parts.filter((part) => !part.endsWith('.*'))), nouns: new Set(nouns) }
}

export function wantsType(filter: TypeFilter, type: string): boolean {
  return filter === undefined || filter.names.has(type) || filter.nouns.has(type.slice(0, type.indexOf('.')))
}

/** What parseTypes reads as the same filter. */
export const typesText = (filter: TypeFilter): string =>
  filter ? [...filter.names, ...[...filter.nouns].map((noun) => `${noun}.*`)].join(',') : '*'
