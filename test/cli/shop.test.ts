// Commands that need the shop make it where nothing has run yet, and never at a cell that is to receive it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CellName } from '../../src/base/ids.ts'
import { openShop } from '../../src/cli/database.ts'
import { readShop } from '../../src/modules/shops/service.ts'
import { keepTopology } from '../../src/runtime/topology.ts'
import { threeCells } from '../base/topology-given.ts'
import { deliver, logOf, openReplicaCell, type ReplicaCell } from '../support/replicas.ts'

let eu: ReplicaCell
let us: ReplicaCell
beforeAll(async () => {
  ;[eu, us] = await Promise.all([openReplicaCell('eu1'), openReplicaCell('us1')])
})
afterAll(() => Promise.all([eu.close(), us.close()]))

test('the shop is made at the first cell, with or without a topology, and told in its log; elsewhere it is waited for', async () => {
  const made = await openShop(eu.database, eu.name)
  expect((await logOf(eu)).map(({ type }) => type)).toEqual(['shop.set'])
  for (const { name: cell, database } of [eu, us]) {
    const keeper = await keepTopology({
      ...{ cell, database, atStart: () => threeCells() },
      whyNotEmptied: async () => null,
      onError: () => {},
    })
    await keeper.stop()
  }
  expect(await openShop(eu.database, eu.name)).toEqual(made)
  await expect(openShop(us.database, us.name)).rejects.toThrow('The shop has not come from eu1 yet')
  expect(await readShop(us.database)).toBeUndefined()
  await deliver('eu1' as CellName, us, await logOf(eu))
  expect(await openShop(us.database, us.name)).toEqual(made)
})
