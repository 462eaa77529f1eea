// The code under test, as one value, so that a mutated copy of it can run in the same world.
import { pathToFileURL } from 'node:url'
import * as batches from '../../src/cell-batches.ts'
import * as comparisons from '../../src/cell-comparing.ts'
import * as engine from '../../src/modules/orders/engine.ts'
import * as memory from '../../src/modules/orders/engine-memory.ts'
import * as gathering from '../../src/modules/orders/gathering.ts'
import * as leftKeys from '../../src/modules/orders/left-keys.ts'
import * as meeting from '../../src/modules/orders/meeting.ts'
import * as database from '../../src/modules/orders/memory-database.ts'
import * as money from '../../src/modules/orders/money.ts'
import * as paymentsConsumer from '../../src/modules/payments/consumer.ts'
import * as payments from '../../src/modules/payments/decide.ts'
import * as executor from '../../src/modules/payments/executor.ts'
import * as prompt from '../../src/modules/payments/prompt.ts'
import * as reconciliation from '../../src/modules/payments/reconcile.ts'
import * as allotments from '../../src/modules/stock/allotments.ts'
import * as comparing from '../../src/modules/stock/comparing.ts'
import * as demand from '../../src/modules/stock/demand.ts'
import * as handingOver from '../../src/modules/stock/handing-over.ts'
import * as transferSums from '../../src/modules/stock/transfer-sums.ts'
import * as transferred from '../../src/modules/stock/transferred.ts'
import * as batch from '../../src/runtime/batch.ts'
import * as gate from '../../src/runtime/gate.ts'
import * as failure from '../../src/runtime/pg-failure.ts'
import * as consumer from './consumer.ts'

export const systemUnderTest = {
  createEngine: engine.createEngine,
  rowsOf: engine.rowsOf,
  createMemoryStore: memory.createMemoryStore,
  createMemoryDatabase: database.createMemoryDatabase,
  putLocation: database.putLocation,
  publish: database.publish,
  startBatches: batches.startBatches,
  handOverUnits: handingOver.handOverUnits,
  transferSumsHandler: transferSums.transferSumsHandler,
  unsettledWith: transferSums.unsettledWith,
  createComparisons: comparisons.createComparisons,
  createComparing: comparing.createComparing,
  startGate: gate.startGate,
  openGate: gate.openGate,
  gatedDatabase: gate.gatedDatabase,
  toldDatabase: gate.toldDatabase,
  createBatcher: batch.createBatcher,
  Overloaded: batch.Overloaded,
  DatabaseUnavailable: failure.DatabaseUnavailable,
  failureClass: failure.failureClass,
  paymentsConsumer: paymentsConsumer.paymentsConsumer,
  createExecutor: executor.createExecutor,
  createPrompt: prompt.createPrompt,
  isStillAsked: payments.isStillAsked,
  settlementOfCharge: payments.settlementOfCharge,
  verdictOf: reconciliation.verdictOf,
  createAllotments: allotments.createAllotments,
  trackDemand: demand.trackDemand,
  receiptsIn: transferred.receiptsIn,
  withGathering: gathering.withGathering,
  LivesElsewhere: gathering.LivesElsewhere,
  openLeftKeys: leftKeys.openLeftKeys,
  meetOrders: meeting.meetOrders,
  settlePair: meeting.settlePair,
  standingOf: money.standingOf,
  wasPaid: money.wasPaid,
  createConsumer: consumer.createConsumer,
  settledUpTo: consumer.settledUpTo,
}

export type System = typeof systemUnderTest

/** The same again from the repository at `folder`, as modules of their own that `query` tells apart. */
export async function systemFrom(folder: string, query: string): Promise<System> {
  const load = (path: string) => import(`${pathToFileURL(`${folder}/${path}`).href}${query}`)
  const parts = await Promise.all([
    load('src/cell-batches.ts'),
    load('src/cell-comparing.ts'),
    load('src/modules/stock/comparing.ts'),
    load('src/modules/stock/handing-over.ts'),
    load('src/modules/stock/transfer-sums.ts'),
    load('src/runtime/gate.ts'),
    load('src/modules/orders/engine.ts'),
    load('src/modules/orders/engine-memory.ts'),
    load('src/modules/orders/memory-database.ts'),
    load('src/modules/orders/gathering.ts'),
    load('src/modules/orders/left-keys.ts'),
    load('src/modules/orders/meeting.ts'),
    load('src/modules/orders/money.ts'),
    load('src/modules/stock/allotments.ts'),
    load('src/modules/stock/demand.ts'),
    load('src/modules/stock/transferred.ts'),
    load('src/modules/payments/consumer.ts'),
    load('src/modules/payments/decide.ts'),
    load('src/modules/payments/executor.ts'),
    load('src/modules/payments/prompt.ts'),
    load('src/modules/payments/reconcile.ts'),
    load('src/runtime/batch.ts'),
    load('src/runtime/pg-failure.ts'),
    load('test/sim/consumer.ts'),
  ])
  const all = Object.assign({}, ...parts) as System
  return Object.fromEntries(Object.keys(systemUnderTest).map((name) => [name, all[name as keyof System]])) as System
}
