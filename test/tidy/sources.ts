// The repository's own files as the tidy test sees them: every text that git would keep, and the TypeScript of it parsed,
// so that a rule looks at code and not at text that resembles code.
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'vite'

export const repository = fileURLToPath(new URL('../..', import.meta.url))

/** Any node of an ESTree; what a rule needs of it, it looks up by name. */
export type Node = { type: string; start: number; end: number; [field: string]: unknown }

export type Import = { from: string; line: number; names: string[]; isType: boolean }

export type Source = {
  /** From the root of the repository, with slashes. */
  path: string
  text: string
  lines: string[]
  program: Node
  comments: { value: string; start: number; end: number }[]
  imports: Import[]
  exports: { name: string; line: number; isType: boolean }[]
}

const ignored = readFileSync(`${repository}/.gitignore`, 'utf8').split('\n').filter(Boolean)
const ignoredFolders = new Set(['.git', ...ignored.map((line) => line.replace(/^\/|\/$/g, ''))])
const ignoredEnds = ignored.filter((line) => line.startsWith('*')).map((line) => line.slice(1))

/** All files, sorted, without those that .gitignore names. */
export function listFiles(): string[] {
  const found: string[] = []
  const visit = (folder: string) => {
    for (const entry of readdirSync(`${repository}/${folder}`, { withFileTypes: true })) {
      if (ignoredFolders.has(entry.name) || ignoredEnds.some((end) => entry.name.endsWith(end))) continue
      const path = posix.join(folder, entry.name)
      if (entry.isDirectory()) visit(path)
      else if (entry.isFile()) found.push(path)
    }
  }
  visit('.')
  return found.sort()
}

export const readText = (path: string): string => readFileSync(`${repository}/${path}`, 'utf8')

export function parseSource(path: string, text = readText(path)): Source {
  const parsed = parseSync(path, text, { lang: path.endsWith('.tsx') ? 'tsx' : 'ts' })
  if (parsed.errors.length > 0) throw new Error(`${path}: ${parsed.errors[0]!.message}`)
  const lineAt = (start: number): number => text.slice(0, start).split('\n').length
  const program = parsed.program as unknown as Node
  const dynamic = [...nodesIn(program)].flatMap((node) => {
    const from = node.type === 'ImportExpression' ? (node.source as Node).value : undefined
    return typeof from === 'string' ? [{ from, line: lineAt(node.start), names: ['*'], isType: false }] : []
  })
  return {
    path,
    text,
    lines: text.split('\n'),
    program,
    comments: parsed.comments,
    imports: [...importsOf(program, lineAt), ...dynamic],
    exports: parsed.module.staticExports.flatMap(({ entries, start }) =>
      entries.flatMap(({ exportName, moduleRequest, isType }) =>
        exportName.name && !moduleRequest ? [{ name: exportName.name, line: lineAt(start), isType }] : [],
      ),
    ),
  }
}

/** Also of `export … from`. A statement that imports a value and a type counts as one of values. */
function importsOf(program: Node, lineAt: (start: number) => number): Import[] {
  return (program.body as Node[]).flatMap((node) => {
    const source = node.source as { value: string } | null | undefined
    if (!source) return []
    const kind = node.importKind ?? node.exportKind
    const specifiers = (node.specifiers as Node[] | undefined) ?? []
    const names = specifiers.map((one) => (one.imported ?? one.local ?? { name: '*' }) as { name?: string })
    const isType = kind === 'type' || (specifiers.length > 0 && specifiers.every((one) => isTypeSpecifier(one)))
    return [
      {
        from: source.value,
        line: lineAt(node.start),
        names:
          specifiers.some((one) => one.type === 'ImportNamespaceSpecifier') || node.type === 'ExportAllDeclaration'
            ? ['*']
            : names.map((one) => one.name ?? ''),
        isType,
      },
    ]
  })
}

const isTypeSpecifier = (node: Node): boolean => node.importKind === 'type' || node.exportKind === 'type'

/** The file that an import names, from the root of the repository; undefined for packages. */
export function targetOf(source: Pick<Source, 'path'>, from: string): string | undefined {
  if (from.startsWith('.')) return posix.join(posix.dirname(source.path), from)
  return from === '@holdfast/sdk' ? 'sdk/src/client.ts' : undefined
}

/** The node and everything in it, outermost first. */
export function* nodesIn(node: Node): Generator<Node> {
  yield node
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) yield* nodesIn(child)
  }
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'

export const lineOf = (source: Pick<Source, 'text'>, node: { start: number }): number =>
  source.text.slice(0, node.start).split('\n').length

/** `a.b.c` of a chain of names, however deep; undefined for anything else. */
export function nameOf(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name as string
  if (node.type !== 'MemberExpression' || node.computed) return undefined
  const object = nameOf(node.object as Node)
  return object && `${object}.${nameOf(node.property as Node)}`
}
