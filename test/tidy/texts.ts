// The texts in a source: string literals, and templates with `{}` for what is put in.
import { type Node, nodesIn, type Source } from './sources.ts'

export function textsIn(source: Pick<Source, 'program'>): { text: string; start: number }[] {
  return [...nodesIn(source.program)].flatMap((node) => {
    const text = textOf(node)
    return text === undefined ? [] : [{ text, start: node.start }]
  })
}

function textOf(node: Node): string | undefined {
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value
  if (node.type !== 'TemplateLiteral') return undefined
  return (node.quasis as { value: { cooked: string } }[]).map(({ value }) => value.cooked).join('{}')
}
