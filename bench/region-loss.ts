// A `geo` cell that loses its whole region under load, as the drill does it: how soon another cell takes orders, how soon its own
// do once its standby is promoted, and whether any acknowledged order is missing. How long an automatic promotion takes is
// Patroni's to say, which is not run here.
import { lossDrill } from '../test/drills/region-loss.ts'
import type { Bench } from './bench.ts'

const standbyRegion = 'us'

export const regionLoss: Bench = {
  diskMib: () => 4_096,
  secondsMax: () => 300,
  async run() {
    const report = await lossDrill(standbyRegion)
    const { acknowledged_lost, others_seconds, own_seconds_after_promotion, ...more } = report
    const fields = {
      acknowledged_lost,
      others_seconds,
      own_seconds_after_promotion,
      own_seconds_with_patroni: null,
      ...more,
    }
    return {
      fields,
      table: {
        columns: [{ head: 'orders again in' }, { head: 's', align: 'right' }],
        rows: [
          ['another cell', String(others_seconds)],
          ['the cell itself, from its promotion', String(own_seconds_after_promotion)],
        ],
      },
      generator: 'eight clients of the drill',
      postgres: null,
    }
  },
}
