// What is written outside of a server is written as of the cell that tests run, now.
import type { CellName } from '../../src/base/ids.ts'
import type { Writing } from '../../src/modules/shops/service.ts'
import { systemClock } from '../../src/runtime/clock.ts'

export const writing = (cell = 'eu1'): Writing => ({ cell: cell as CellName, now: systemClock.now() })
