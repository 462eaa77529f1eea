// docs/generated/STATES.md: the picture and the reasons of every transition, from the tables that the decisions use.
import { stateTables } from '../../src/modules/orders/states.ts'

type Transition = { from: string; to: string; why: string }

export function statesPage(): string {
  return [
    '# States',
    '',
    'Made from `src/modules/orders/states.ts`. What stands in no table does not happen: `next` refuses it, and',
    'every transition has a test by name in `test/modules/orders/`.',
    '',
    ...Object.entries(stateTables).flatMap(([name, table]) => section(name, table)),
  ].join('\n')
}

/** Of one table, in its order. */
export const transitionsOf = (table: object): Transition[] =>
  Object.entries(table).flatMap(([from, row]) =>
    Object.entries(row as Record<string, string>).map(([to, why]) => ({ from, to, why })),
  )

function section(name: string, table: object): string[] {
  const states = Object.entries(table)
  const transitions = transitionsOf(table)
  const last = states.filter(([, row]) => Object.keys(row).length === 0)
  return [
    `## ${name[0]!.toUpperCase()}${name.slice(1)}`,
    '',
    '```mermaid',
    'stateDiagram-v2',
    `  [*] --> ${states[0]![0]}`,
    ...transitions.map(({ from, to }) => `  ${from} --> ${to}`),
    ...last.map(([state]) => `  ${state} --> [*]`),
    '```',
    '',
    '| from | to | because |',
    '|---|---|---|',
    ...transitions.map(({ from, to, why }) => `| \`${from}\` | \`${to}\` | ${why} |`),
    '',
  ]
}
