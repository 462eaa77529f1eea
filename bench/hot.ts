// Every order on one SKU, in turn with orders over fifty: one row's lock must not be what limits a sale.
import { type Bench, grouped } from './bench.ts'
import { generatorName } from './load.ts'
import { readSettings } from './machine.ts'
import { placeOrders, warmUp } from './orders.ts'
import { median, medianRatio, round, takeTurns } from './rounds.ts'
import { startServer } from './server.ts'
import { skusSpread } from './shapes.ts'

export const hot: Bench = {
  diskMib: ({ seconds, rounds }) => 4_096 + seconds * rounds * 100,
  secondsMax: ({ seconds, rounds }) => 200 + rounds * seconds * 4,
  async run(context) {
    const { options, say } = context
    const connections = options.connections ?? 256
    const server = await startServer(context)
    await warmUp(context, [server.url], connections)
    const place = (name: string, skus: number) => async (turn: number) => {
      const slice = await placeOrders(context, server, { connections, seconds: options.seconds, skus })
      say(`${name}, round ${turn}: ${grouped(slice.perSecond)} orders/s`)
      return slice.perSecond
    }
    const turns = await takeTurns(options.rounds, {
      hot: place('one SKU', 1),
      spread: place(`${skusSpread} SKUs`, skusSpread),
    })
    const perSecond = median(turns.hot)
    const ratio = medianRatio(turns.hot, turns.spread)
    return {
      fields: {
        orders_per_s: round(perSecond),
        ratio_to_spread: ratio,
        spread_per_s: round(median(turns.spread)),
        connections,
        hot_per_s_by_round: turns.hot.map((rate) => round(rate)),
        spread_per_s_by_round: turns.spread.map((rate) => round(rate)),
      },
      table: {
        columns: [{ head: 'orders on' }, { head: 'orders/s', align: 'right' }, { head: 'ratio', align: 'right' }],
        rows: [
          ['one SKU', grouped(perSecond), String(ratio)],
          [`${skusSpread} SKUs`, grouped(median(turns.spread)), '1'],
        ],
      },
      generator: generatorName,
      postgres: await readSettings(server.sql),
    }
  },
}
