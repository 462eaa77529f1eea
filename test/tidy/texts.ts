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

const methods = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])

/** `METHOD /path` of every request that a test makes: as one text, as two arguments in a row, or as a bare URL to get. */
export function requestsIn(source: Pick<Source, 'program'>): string[] {
  const single = textsIn(source).flatMap(({ text }) => {
    if (/^[A-Z]+ \//.test(text)) return [text]
    return /^(\{\})?\//.test(text) ? [`GET ${text.replace(/^\{\}/, '')}`] : []
  })
  const pairs = [...nodesIn(source.program)].flatMap((node) => {
    const texts = node.type === 'CallExpression' ? (node.arguments as Node[]).map(textOf) : []
    const at = texts.findIndex((text) => text !== undefined && methods.has(text))
    return at >= 0 && texts[at + 1] !== undefined ? [`${texts[at]} ${texts[at + 1]}`] : []
  })
  return [...single, ...pairs]
}
