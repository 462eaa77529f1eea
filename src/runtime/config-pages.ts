// What can be set, told to people: for a terminal, and as a page of the documentation.
import { environmentName, type Option, optionTable, type Variable, variableTable } from './config.ts'

/** The options as a text for a terminal. */
export function optionsHelp(): string {
  const flags = optionTable.map((option: Option) => {
    const left = `  --${option.flag}${option.value ? ` ${option.value}` : ''}`
    return `${left.padEnd(24)}${option.meaning}${option.default === undefined ? '' : ` [${option.default}]`}`
  })
  const variables = variableTable.map((variable: Variable) => `  ${variable.name.padEnd(32)}${variable.meaning}`)
  return [...flags, '', 'By variable only:', ...variables].join('\n')
}

/** docs/generated/CONFIG.md */
export function optionsPage(): string {
  const rows = optionTable.map((option: Option) => {
    const flag = `\`--${option.flag}${option.value ? ` ${option.value}` : ''}\``
    return `| ${flag} | \`${environmentName(option.flag)}\` | ${option.default === undefined ? '' : `\`${option.default}\``} | ${option.meaning} |`
  })
  const variables = variableTable.map((variable: Variable) => {
    const standard = variable.default === undefined ? '' : `\`${variable.default}\``
    return `|  | \`${variable.name}\` | ${standard} | ${variable.meaning} |`
  })
  return [
    '# Configuration of `holdfast start`',
    '',
    'Made from `src/runtime/config.ts`. A flag wins over its variable; a variable that is empty counts as not set.',
    '',
    '| flag | variable | default | meaning |',
    '|---|---|---|---|',
    ...rows,
    ...variables,
    '',
  ].join('\n')
}
