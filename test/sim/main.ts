// npm run sim -- [--seeds 1000] [--from 1] [--seed N --trace]: the simulator of one cell.
import { runSeeds } from './run-seeds.ts'
import { runSeed } from './world.ts'

await runSeeds(runSeed, { script: 'test/sim/main.ts', world: 'one cell' })
