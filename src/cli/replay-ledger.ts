// What the shop's ledger says in the end, once it has booked all that happened; the audit has compared it with the orders.
import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from '@holdfast/sdk'
import { CommandFailure } from './failure.ts'

/** In pennies, of everything the shop ever sold for pounds. */
export type LedgerSums = { captured: number; refunded: number; sales: number; receivable: number; consistent: boolean }

const turnsMax = 120
const pauseMs = 500

/** Throws when the ledger is behind the log for longer than a minute. */
export async function readLedger(client: Client): Promise<LedgerSums> {
  for (let turn = 0; turn < turnsMax; turn++) {
    const { consistent, money } = await client.audit({ fresh: true })
    if (money.behind === 0) {
      const {
        captured = 0,
        refunded = 0,
        sales = 0,
        receivable = 0,
      } = money.sums.find((one) => one.currency === 'GBP') ?? {}
      return { captured, refunded, sales, receivable, consistent }
    }
    await pause(pauseMs)
  }
  throw new CommandFailure('ledger_behind', 'the ledger has not caught up with the log')
}
