// The SQL in the server's sources: every text that names a table, under the constant or function that holds it. A text that is
// put together from others counts for all that they name.
import { type Node, nodesIn, type Source, targetOf } from '../tidy/sources.ts'

export type Statement = {
  /** The constant or function. */
  name: string
  path: string
  /** As it stands in the source, without indentation. */
  text: string
  /** By table: what is done with it. */
  uses: Map<string, Set<Use>>
}
export type Use = 'reads' | 'locks' | 'inserts' | 'updates' | 'deletes' | 'empties' | 'alters' | 'catalog'

type Declared = { name: string; node: Node; source: Source }

/** All statements of the sources that touch one of the tables, in the order of files and lines. */
export function statementsIn(all: readonly Source[], tables: readonly string[]): Statement[] {
  const sources = new Map(all.map((source) => [source.path, source]))
  return all.flatMap((source) =>
    declarationsOf(source).flatMap((declared) => {
      const text = ownText(declared.node)
      const uses = usesIn(expandedText(declared, sources, new Set()), tables)
      return isSql(text) && uses.size > 0 ? [{ name: declared.name, path: source.path, text, uses }] : []
    }),
  )
}

/** What stands at the top of a file: functions, and constants one by one. */
function declarationsOf(source: Source): Declared[] {
  return (source.program.body as Node[]).flatMap((statement) => {
    const node = (statement.declaration as Node | null | undefined) ?? statement
    if (node.type === 'FunctionDeclaration') return [{ name: identifier(node.id), node, source }]
    if (node.type !== 'VariableDeclaration') return []
    return (node.declarations as Node[]).map((one) => ({ name: identifier(one.id), node: one, source }))
  })
}

const identifier = (node: unknown): string => {
  const name = (node as { name?: unknown } | null)?.name
  return typeof name === 'string' ? name : ''
}

const isSql = (text: string): boolean =>
  /\b(select|insert into|update|delete from|truncate|create table|alter table|drop table|join)\b/.test(text)

/** The texts in a declaration, one after the other; `${…}` shows what is put in, as the source has it. */
function ownText(node: Node): string {
  return textNodes(node)
    .map((one) => textOf(one, (inner) => `\${${inner.type === 'Identifier' ? identifier(inner) : '…'}}`))
    .filter((text) => isSql(text) || /\b\w+\.\w+\b/.test(text))
    .map(withoutIndent)
    .join('\n\n')
}

/** The same with the texts of all constants and functions that it is put together from, as far as they can be seen. */
function expandedText({ node, source }: Declared, sources: ReadonlyMap<string, Source>, seen: Set<Node>): string {
  seen.add(node)
  const parts = textNodes(node).map((one) => textOf(one, () => unseen))
  // A function may call others that have statements of their own; a constant is put together from all that it names.
  const within = node.type === 'FunctionDeclaration' ? textNodes(node) : [node]
  const names = new Set(within.flatMap((one) => [...nodesIn(one)].map(identifier)))
  for (const name of names) {
    const other = name === '' ? undefined : find(name, source, sources)
    if (other && !seen.has(other.node)) parts.push(expandedText(other, sources, seen))
  }
  return parts.join('\n')
}

/** Where a name comes from: this file, or one that it imports. */
function find(name: string, source: Source, sources: ReadonlyMap<string, Source>): Declared | undefined {
  const own = declarationsOf(source).find((declared) => declared.name === name)
  if (own) return own
  const from = source.imports.find(({ names }) => names.includes(name))?.from
  const other = from === undefined ? undefined : sources.get(targetOf(source, from) ?? '')
  return other && declarationsOf(other).find((declared) => declared.name === name)
}

/** Outermost texts only: what is inside a template belongs to it. */
function textNodes(node: Node): Node[] {
  if (node.type === 'TemplateLiteral' || (node.type === 'Literal' && typeof node.value === 'string')) return [node]
  return childrenOf(node).flatMap(textNodes)
}

const childrenOf = (node: Node): Node[] =>
  Object.values(node)
    .flat()
    .filter((value): value is Node => typeof (value as Node | null)?.type === 'string')

function textOf(node: Node, shown: (inner: Node) => string): string {
  if (node.type === 'Literal') return node.value as string
  const quasis = node.quasis as { value: { cooked: string } }[]
  const inner = node.expressions as Node[]
  return quasis.map(({ value }, index) => value.cooked + (inner[index] ? shown(inner[index]) : '')).join('')
}

function withoutIndent(text: string): string {
  const lines = text
    .replaceAll('\t', '  ')
    .split('\n')
    .filter((line) => line.trim() !== '')
  const [first, ...rest] = lines
  if (first === undefined) return ''
  const indents = (text.startsWith('\n') ? lines : rest).map((line) => line.length - line.trimStart().length)
  const indent = Math.min(...indents, Number.MAX_SAFE_INTEGER)
  return [
    first.trimStart(),
    ...rest.map((line) => line.slice(Math.min(indent, line.length - line.trimStart().length))),
  ].join('\n')
}

/** Stands for what is put into a text and cannot be seen from here, such as the table of a loop over tables. */
const unseen = '§'

function usesIn(text: string, tables: readonly string[]): Statement['uses'] {
  const found: Statement['uses'] = new Map()
  for (const table of tables) {
    const name = patternOf(table)
    if (!new RegExp(`\\b${name}`).test(text)) continue
    const uses = new Set<Use>()
    const does = (verb: string) => new RegExp(`\\b${verb} ${name}`).test(text)
    const isNamed = does('(?:from|join|into|update|table|truncate)')
    const writes = (verb: string) => (isNamed ? does(verb) : text.includes(`${verb} ${unseen}`))
    if (writes('insert into')) uses.add('inserts')
    if (does('update') || (does('insert into') && /on conflict .* do update/s.test(text))) uses.add('updates')
    if (writes('delete from')) uses.add('deletes')
    if (writes('truncate')) uses.add('empties')
    if (writes('alter table') || does('create table(?: if not exists)?')) uses.add('alters')
    if (isLocked(text, name)) uses.add('locks')
    else if (does('(?<!delete )from') || does('join')) uses.add('reads')
    if (uses.size === 0) uses.add(text.includes(`'${table}'`) ? 'catalog' : 'reads')
    found.set(table, uses)
  }
  return found
}

/** A table that is one of several of the same name may be named by number elsewhere: `orders.keys_§`. */
const patternOf = (table: string): string =>
  `${table.replace('.', '\\.').replace(/\d+$/, (digits) => `(?:${digits}|(?=${unseen}))`)}(?!\\w)`

/** `for update of <alias>`, or `for update` of a statement that selects from this table alone. */
function isLocked(text: string, name: string): boolean {
  const of = /\bfor update(?: of (\w+))?/.exec(text)
  if (!of) return false
  if (!of[1]) return new RegExp(`\\bfrom ${name}[^()]*for update`).test(text)
  return new RegExp(`\\b${name} (?:as )?${of[1]}\\b`).test(text)
}
