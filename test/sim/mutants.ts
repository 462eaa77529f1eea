// node test/sim/mutants.ts [--seeds 2000] [--only TEXT] [--world cells] [--known] [--write]: takes each guard away in turn and counts the seeds until
// the simulator notices. Exit code 1 when a mutant lives. --write makes docs/generated/MUTANTS.md, and --known tries the seed that
// stands there before any other.
import { readFile, writeFile } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { runCellsSeed } from './cells/world.ts'
import type { Mutant } from './mutant.ts'
import { mutants } from './mutant-table.ts'
import { systemFrom } from './system.ts'
import { runSeed } from './world.ts'

const root = join(import.meta.dirname, '..', '..')

const isCode = (url: string): boolean =>
  url.startsWith(`${pathToFileURL(root).href}/`) && !url.includes('/node_modules/') && url.includes('.ts')
const mutantOf = (url: string | undefined): string | null => (url ? new URL(url).searchParams.get('mutant') : null)

// Modules that a mutant's module imports are its own too; what is not ours is shared.
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    const number = mutantOf(found.url) ?? mutantOf(context.parentURL)
    if (number === null || !isCode(found.url)) return found
    return { ...found, url: `${found.url.split('?')[0]}?mutant=${number}` }
  },
  load(url, context, next) {
    const loaded = next(url, context)
    const number = isCode(url) ? mutantOf(url) : null
    if (number === null) return loaded
    return { ...loaded, source: without(mutants[Number(number)]!, url, String(loaded.source)) }
  },
})

/** The code without the guard. */
function without(mutant: Mutant, url: string, source: string): string {
  const edits = mutant.edits.filter(({ file }) => new URL(url).pathname.endsWith(`/${file}`))
  return edits.reduce((text, { from, to }) => text.replace(from, () => to), source)
}

/** An edit that matches nothing would leave the code as it is. */
async function insistOnEdits({ name, edits }: Mutant): Promise<void> {
  for (const { file, from } of edits) {
    const matches = (await readFile(join(root, file), 'utf8')).split(from).length - 1
    if (matches !== 1) throw new Error(`mutant "${name}": ${file} has ${matches} matches of: ${from}`)
  }
}

/** Seeds until the first violation; null when all hold. */
async function hunt(mutant: Mutant, seedsMax: number, known: number[]) {
  await insistOnEdits(mutant)
  const system = await systemFrom(root, `?mutant=${mutants.indexOf(mutant)}`)
  for (let turn = -known.length; turn < seedsMax; turn++) {
    const seed = turn < 0 ? known.at(turn)! : turn + 1
    const { violation } = await (mutant.world === 'cells' ? runCellsSeed : runSeed)(system, seed)
    if (violation) return { seeds: seed, violation: violation.message.split('\n')[0]! }
  }
  return null
}

const page = join(root, 'docs/generated/MUTANTS.md')

/** The seed that found each mutant when the page was made. */
async function knownSeeds(): Promise<Map<string, number>> {
  const cells = (await readFile(page, 'utf8')).split('\n').map((line) => line.split(' | '))
  return new Map(cells.flatMap(([, name, seed]) => (Number(seed) > 0 ? [[name!, Number(seed)] as const] : [])))
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    only: { type: 'string', default: '' },
    world: { type: 'string', default: '' },
    known: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})

const rows: string[] = []
let living = 0
const known = values.known ? await knownSeeds() : new Map<string, number>()
for (const mutant of mutants.filter(
  (one) => one.name.includes(values.only) && (values.world === '' || (one.world ?? 'cell') === values.world),
)) {
  const seed = known.get(mutant.name)
  const found = await hunt(mutant, Number(values.seeds), seed === undefined ? [] : [seed])
  if (!found) living++
  console.log(
    `${found ? `found by seed ${found.seeds}` : 'LIVES'}: ${mutant.name}${found ? ` (${found.violation.slice(0, 120)})` : ''}`,
  )
  rows.push(
    `| ${mutant.guard} | ${mutant.name} | ${found ? found.seeds : 'not found'} | ${found ? found.violation.split(':')[0] : ''} |`,
  )
}

if (values.write) {
  const head = [
    '# Mutants',
    '',
    'Made by `node test/sim/mutants.ts --write`. Each guard is taken out of the code as it is loaded, and the simulator runs seeds',
    'until its auditor notices. The last column is the promise it saw broken.',
    '',
    '| guard | without it | found by seed | seen as |',
    '|---|---|---|---|',
  ]
  await writeFile(page, `${[...head, ...rows].join('\n')}\n`)
}
console.log(`${rows.length - living} of ${rows.length} mutants found`)
process.exit(living > 0 ? 1 : 0)
