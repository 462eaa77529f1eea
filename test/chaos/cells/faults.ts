// Carries out what the plan says, on the wide area and on the processes, and takes it back.

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { CellName } from '../../../src/base/ids.ts'
import { askControl } from '../../../src/cli/control.ts'
import { isAlive, processesIn } from '../../../src/runtime/embedded-postmaster.ts'
import { eventually } from '../../support/eventually.ts'
import { cellProcess, postmasterPid } from '../../support/holdfast.ts'
import { signalAll } from '../../support/signal-all.ts'
import type { Passage, Way, WideArea } from '../../support/wide-area.ts'
import { type Cell, cells, type Fault, type Pair } from './plan.ts'
import type { Scene } from './scene.ts'

const recoveryMsMax = 60_000

type Ground = Pick<Scene, 'data' | 'area'>

/** Resolves when its time is over; the network is healed by whoever carries out the step. */
export async function carryOut(fault: Fault, { data, area }: Ground): Promise<void> {
  switch (fault.kind) {
    case 'isolate':
      for (const other of cells)
        if (other !== fault.cell) bothWays(area, [fault.cell, other], { passage: fault.manner })
      return delay(fault.forMs)
    case 'part':
      bothWays(area, fault.cells, { passage: fault.manner })
      return delay(fault.forMs)
    case 'one_way':
      area.change(...fault.cells, { passage: 'silent' })
      return delay(fault.forMs)
    case 'flap':
      return flap(area, fault)
    case 'slow':
      for (const [from, to] of [fault.cells, fault.cells.toReversed() as [Cell, Cell]]) {
        const delayMs = area.way(from, to).delayMs * fault.times
        area.change(from, to, { delayMs, bytesPerSecond: fault.bytesPerSecond })
      }
      return delay(fault.forMs)
    case 'kill':
      return kill(data, fault)
    case 'freeze':
      return freeze(data, fault.cell, fault.forMs)
    case 'restart':
      await askControl(data, { do: 'stop', cell: fault.cell as CellName })
      await askControl(data, { do: 'start', cell: fault.cell as CellName })
  }
}

function bothWays(area: WideArea, [a, b]: Pair, change: Partial<Way>): void {
  area.change(a, b, change)
  area.change(b, a, change)
}

async function flap(area: WideArea, { cells: pair, everyMs, forMs }: Extract<Fault, { kind: 'flap' }>): Promise<void> {
  const until = performance.now() + forMs
  const manners: readonly Passage[] = ['cut', 'open', 'silent', 'open']
  for (let turn = 0; performance.now() < until; turn++) {
    bothWays(area, pair, { passage: manners[turn % manners.length]! })
    await delay(everyMs)
  }
}

/** One that is on its way back is waited for. */
async function kill(data: string, { cell, what }: Extract<Fault, { kind: 'kill' }>): Promise<void> {
  const find = async (): Promise<(number | undefined)[]> => [
    ...(what === 'postgres' ? [] : [cellProcess(data, cell)]),
    ...(what === 'process' ? [] : [await postmasterPid(data, cell)]),
  ]
  let found: (number | undefined)[] = []
  await eventually(async () => {
    found = await find()
    return found.every((pid) => pid !== undefined && isAlive(pid))
  }, recoveryMsMax)
  for (const pid of found) process.kill(pid!, 'SIGKILL')
}

async function freeze(data: string, cell: Cell, forMs: number): Promise<void> {
  const own = cellProcess(data, cell)
  const pids = [...(own === undefined ? [] : [own]), ...processesIn(join(data, cell, 'pg'))]
  signalAll(pids, 'SIGSTOP')
  try {
    await delay(forMs)
  } finally {
    signalAll(pids, 'SIGCONT')
  }
}
