// How long functions are, each without the functions inside it: a factory whose inner functions are short is short.
import { lineOf, type Node, nameOf, nodesIn, type Source } from './sources.ts'

const functionTypes = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])

/** All functions of a file but the callbacks of `describe`, which only group. */
export function ownLinesOf(source: Source): { name: string; line: number; lines: number }[] {
  const grouping = new Set<Node>()
  const names = new Map<Node, string>()
  for (const node of nodesIn(source.program)) {
    if (node.type === 'CallExpression' && /^describe\b/.test(nameOf(node.callee as Node) ?? '')) {
      for (const argument of node.arguments as Node[]) grouping.add(argument)
    }
    const value = (node.init ?? node.value) as Node | null | undefined
    const named = (node.id ?? node.key) as Node | null | undefined
    if (value?.type && named) names.set(value, nameOf(named) ?? '')
  }
  const functions = [...nodesIn(source.program)].filter((node) => functionTypes.has(node.type))
  return functions
    .filter((node) => !grouping.has(node))
    .map((node) => ({
      name: nameOf((node.id as Node | null) ?? node) ?? names.get(node) ?? 'a function',
      line: lineOf(source, node),
      lines:
        heightOf(source, node) -
        directlyIn(functions, node).reduce((sum, inner) => sum + heightOf(source, inner) - 1, 0),
    }))
}

const heightOf = (source: Source, node: Node): number => source.text.slice(node.start, node.end).split('\n').length

function directlyIn(functions: readonly Node[], outer: Node): Node[] {
  const inner = functions.filter((node) => node !== outer && node.start >= outer.start && node.end <= outer.end)
  return inner.filter(
    (node) => !inner.some((other) => other !== node && other.start <= node.start && other.end >= node.end),
  )
}
