// A `geo` cell that loses its whole region under load, as the drills do it: how soon another cell takes orders, how soon its own
// do once its standby is promoted by hand, or where Patroni promotes it, and whether any acknowledged order is missing. Where Patroni
// is not to be had, its field is null and the reason is told.
import { type PatroniReport, patroniDrill } from '../test/drills/patroni-loss.ts'
import { findPatroniTools } from '../test/drills/patroni-tools.ts'
import { lossDrill } from '../test/drills/region-loss.ts'
import type { Bench } from './bench.ts'

const standbyRegion = 'us'

export const regionLoss: Bench = {
  diskMib: () => 4_096,
  secondsMax: () => 600,
  async run() {
    const report = await lossDrill(standbyRegion)
    const patroni = await withPatroni()
    const { others_seconds, own_seconds_after_promotion, ...more } = report
    const fields = {
      ...more,
      acknowledged_lost: report.acknowledged_lost + (patroni?.acknowledged_lost ?? 0),
      others_seconds,
      own_seconds_after_promotion,
      own_seconds_with_patroni: patroni?.own_seconds_with_patroni ?? null,
    }
    return {
      fields,
      table: {
        columns: [{ head: 'orders again in' }, { head: 's', align: 'right' }],
        rows: [
          ['another cell', String(others_seconds)],
          ['the cell itself, from its promotion', String(own_seconds_after_promotion)],
          ['the cell itself, with Patroni, from the loss', String(fields.own_seconds_with_patroni ?? 'not run')],
        ],
      },
      generator: 'eight clients of the drill',
      postgres: null,
    }
  },
}

/** Undefined where its programs are missing and cannot be installed. */
async function withPatroni(): Promise<PatroniReport | undefined> {
  try {
    findPatroniTools()
  } catch (error) {
    console.error((error as Error).message)
    return undefined
  }
  return patroniDrill()
}
