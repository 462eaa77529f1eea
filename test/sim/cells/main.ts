// npm run sim:cells -- [--seeds 1000] [--from 1] [--seed N --trace]: the simulator of many cells.
import { runSeeds } from '../run-seeds.ts'
import { runCellsSeed } from './world.ts'

await runSeeds(runCellsSeed, { script: 'test/sim/cells/main.ts', world: 'many cells' })
