// node test/sim/mutants.ts [--seeds 2000] [--only TEXT] [--known] [--write]: takes each guard away in turn and counts the seeds until
// the simulator notices. Exit code 1 when a mutant lives. --write makes docs/generated/MUTANTS.md, and --known tries the seed that
// stands there before any other.
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { runCellsSeed } from './cells/world.ts'
import type { Mutant } from './mutant.ts'
import { mutants } from './mutant-table.ts'
import { systemFrom } from './system.ts'
import { runSeed } from './world.ts'

const root = join(import.meta.dirname, '..', '..')

/** A copy of the code without the guard. */
async function mutated(mutant: Mutant): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-mutant-'))
  for (const part of ['src/base', 'src/modules', 'src/runtime', 'test/sim', 'package.json']) {
    await cp(join(root, part), join(folder, part), { recursive: true })
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const { file, from, to } of mutant.edits) {
    const text = await readFile(join(folder, file), 'utf8')
    const matches = text.split(from).length - 1
    if (matches !== 1) throw new Error(`mutant "${mutant.name}": ${file} has ${matches} matches of: ${from}`)
    await writeFile(
      join(folder, file),
      text.replace(from, () => to),
    )
  }
  return folder
}

/** Seeds until the first violation; null when all hold. */
async function hunt(mutant: Mutant, seedsMax: number, known: number[]) {
  const folder = await mutated(mutant)
  try {
    const system = await systemFrom(folder)
    for (let turn = -known.length; turn < seedsMax; turn++) {
      const seed = turn < 0 ? known.at(turn)! : turn + 1
      const { violation } = await (mutant.world === 'cells' ? runCellsSeed : runSeed)(system, seed)
      if (violation) return { seeds: seed, violation: violation.message.split('\n')[0]! }
    }
    return null
  } finally {
    await rm(folder, { recursive: true })
  }
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
    known: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})

const rows: string[] = []
let living = 0
const known = values.known ? await knownSeeds() : new Map<string, number>()
for (const mutant of mutants.filter((one) => one.name.includes(values.only))) {
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
    'Made by `node test/sim/mutants.ts --write`. Each guard is taken out of a copy of the code, and the simulator runs seeds',
    'until its auditor notices. The last column is the promise it saw broken.',
    '',
    '| guard | without it | found by seed | seen as |',
    '|---|---|---|---|',
  ]
  await writeFile(page, `${[...head, ...rows].join('\n')}\n`)
}
console.log(`${rows.length - living} of ${rows.length} mutants found`)
process.exit(living > 0 ? 1 : 0)
