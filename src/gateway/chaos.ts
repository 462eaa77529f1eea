// Routes by which an operator breaks things on purpose, to see that the promises hold. They are of the development profile, and there
// are none elsewhere.
import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { type ErrorCode, errorTable } from '../base/errors.ts'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { accepted, type Outcome, type Refused, refused, replayed } from '../base/result.ts'
import { AnyText, closed, nullable, oneOf, ref, Time } from '../base/schemas.ts'
import { toRfc3339 } from '../base/time.ts'
import type { Topology } from '../base/topology.ts'
import type { Guard } from '../modules/shops/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Faults } from '../runtime/faults.ts'
import { sendJson, sendRefused, sendText } from '../runtime/http.ts'
import { documented } from '../runtime/http-document.ts'
import type { KeyHashes } from '../runtime/idempotency.ts'
import type { Log } from '../runtime/log.ts'
import type { CellsHeard } from './cells.ts'
import { beginSale, openSaleAgent, receiveUnits, type Sale, type SaleState, type SaleTarget } from './sale.ts'

const Count = Type.Integer({ minimum: 0 })
const counts = { sold: Count, refused: Count, failed: Count }
const SaleAnswer = Type.Object({
  id: Type.String(),
  sku: Type.String(),
  units: Count,
  buyers: Type.Integer({ description: 'At each cell.' }),
  state: oneOf(['running', 'over', 'stopped']),
  started_at: Time,
  by_cell: Type.Array(Type.Object({ cell: Type.String(), asked: Count, ...counts }), {
    description: 'By the cell that was asked; its own counts make up the sums.',
  }),
  sold: Type.Integer({ description: 'Buyers who were answered with an order.' }),
  refused: Type.Integer({ description: 'Buyers who were answered with 4xx: nearly always, that it is sold out.' }),
  failed: Type.Integer({
    description: `Buyers who had no answer, or 5xx, ${limits.saleTriesMax} times; some of them may have an order.`,
  }),
})
const NetworkBody = closed({ cut_off: Type.Boolean() })
const ProviderBody = closed({
  delay_ms: Type.Integer({ minimum: 0, maximum: limits.faultDelayMsMax }),
  lost_answers: Type.Number({
    minimum: 0,
    maximum: 1,
    description: 'Which part of what it does is never answered. Asked what became of it, it answers.',
  }),
})
const SaleBody = closed({
  units: Type.Integer({ minimum: 1, maximum: limits.saleUnitsMax }),
  buyers: Type.Integer({ minimum: 1, maximum: limits.saleBuyersMax, description: 'At each cell.' }),
})
const Chaos = Type.Object({
  cut_off: Type.Boolean(),
  provider: Type.Object({ delay_ms: Type.Integer(), lost_answers: Type.Number() }),
  can_stop: Type.Boolean({ description: 'A `holdfast start` runs this cell, and can be asked to stop and start it.' }),
  sale: nullable<object>(ref('Sale')),
})
/** Named in OpenAPI. */
export const components = { Chaos, Sale: SaleAnswer }

/** The process that runs this cell, and perhaps others. */
export type Supervisor = {
  cells(): Promise<readonly CellName[]>
  /** Resolves when it is done; of the cell itself, it never does. */
  carryOut(action: 'stop' | 'start', cell: CellName): Promise<void>
}

export type ChaosSource = {
  faults: Faults
  /** None for a cell that nobody runs. */
  supervisor: Supervisor | null
}

export type ChaosRoutesOptions = ChaosSource & {
  cell: CellName
  guard: Guard
  topology: { current(): Topology }
  peers: Pick<CellsHeard, 'isUp'>
  clock: Pick<Clock, 'now' | 'sleep'>
  log: Pick<Log, 'warn'>
}

export function chaosRoutes(app: FastifyInstance, options: ChaosRoutesOptions): void {
  const sales = openSales(app, options)
  faultRoutes(app, options, sales)
  supervisorRoutes(app, options)
  saleRoutes(app, options.guard, sales)
}

const tags: ['chaos'] = ['chaos']

function faultRoutes(app: FastifyInstance, { guard, faults, supervisor }: ChaosRoutesOptions, sales: Sales): void {
  const onRequest = guard.allow('cells:write')
  const answer = (reply: FastifyReply): FastifyReply => {
    const { delayMs, lostAnswers } = faults.provider
    const sale = sales.current()
    const told = {
      cut_off: faults.cutOff,
      provider: { delay_ms: delayMs, lost_answers: lostAnswers },
      can_stop: supervisor !== null,
      sale: sale && saleAnswer(sale.state()),
    }
    return sendJson(reply, 200, JSON.stringify(told))
  }

  app.get(
    '/v1/chaos',
    {
      onRequest,
      schema: documented({
        operationId: 'getChaos',
        summary: 'What is broken on purpose in the answering cell',
        tags,
        answers: { 200: ref('Chaos') },
      }),
    },
    (_, reply) => answer(reply),
  )

  app.put<{ Body: Static<typeof NetworkBody> }>(
    '/v1/chaos/network',
    {
      onRequest,
      schema: documented({
        operationId: 'putChaosNetwork',
        summary: 'Cut the answering cell off from all others, both ways, or connect it again',
        description:
          'As by a network that is cut: what it asks other cells fails, and what they ask it is not answered. Its buyers, its database and its process are untouched. A request that it was forwarding when it was cut off ends as it would have.',
        tags,
        body: NetworkBody,
        answers: { 200: ref('Chaos') },
      }),
    },
    ({ body }, reply) => {
      faults.cutOff = body.cut_off
      return answer(reply)
    },
  )

  app.put<{ Body: Static<typeof ProviderBody> }>(
    '/v1/chaos/provider',
    {
      onRequest,
      schema: documented({
        operationId: 'putChaosProvider',
        summary: 'Make the test provider of the answering cell slow, or lose its answers',
        tags,
        body: ProviderBody,
        answers: { 200: ref('Chaos') },
      }),
    },
    ({ body }, reply) => {
      faults.provider.delayMs = body.delay_ms
      faults.provider.lostAnswers = body.lost_answers
      return answer(reply)
    },
  )
}

function supervisorRoutes(app: FastifyInstance, { guard, supervisor, log }: ChaosRoutesOptions): void {
  for (const action of ['stop', 'start'] as const) {
    app.post<{ Params: { name: string } }>(
      `/v1/chaos/cells/:name/${action}`,
      {
        onRequest: guard.allow('cells:write'),
        schema: documented({
          operationId: `${action}Cell`,
          summary:
            action === 'stop'
              ? 'Stop a cell of the same `holdfast start`'
              : 'Start a cell of the same `holdfast start`',
          description:
            'The answering one may be stopped too. It is begun when it is answered; one that is so already stays as it is.',
          tags,
          params: closed({ name: AnyText }),
          answers: { 202: null },
          refusals: ['not_supervised'],
        }),
      },
      async ({ params }, reply) => {
        const cells = (await supervisor?.cells().catch(() => [])) ?? []
        const cell = cells.find((name) => name === params.name)
        if (!supervisor || !cell) return sendRefused(reply, refused('not_supervised'))
        supervisor.carryOut(action, cell).catch((err) => log.warn({ err, action, cell: params.name }, 'chaos'))
        return sendText(reply, 202, '', 'application/json')
      },
    )
  }
}

function saleRoutes(app: FastifyInstance, guard: Guard, sales: Sales): void {
  const onRequest = guard.allow('cells:write')
  app.post<{ Body: Static<typeof SaleBody> }>(
    '/v1/chaos/sales',
    {
      onRequest,
      schema: documented({
        operationId: 'startSale',
        summary: 'Receive a new SKU, and let crowds at every cell within reach try to buy one each',
        description:
          'They use the caller’s key, which needs `stock:write` and `orders:write` for it. A cell runs one sale at a time, and forgets it when it stops.',
        tags,
        keyed: true,
        body: SaleBody,
        answers: { 202: ref('Sale') },
        refusals: ['sale_running', 'idempotency_key_in_flight', 'cell_unreachable'],
      }),
    },
    async (request, reply) => {
      const key = guard.keyOf(request)
      if ('code' in key) return sendRefused(reply, key)
      const started = await sales.start(request, request.body, key)
      if (!started.ok) return sendRefused(reply, started)
      if (started.replayed) reply.header('idempotent-replayed', 'true')
      return sendJson(reply, 202, JSON.stringify(saleAnswer(started.value.state())))
    },
  )
  for (const method of ['GET', 'DELETE'] as const) {
    app.route({
      method,
      url: '/v1/chaos/sales/current',
      onRequest,
      schema: documented({
        operationId: method === 'GET' ? 'getSale' : 'stopSale',
        summary: method === 'GET' ? 'The sale that runs, or the last one' : 'Let nobody ask any more',
        tags,
        answers: { 200: ref('Sale') },
        refusals: ['not_found'],
      }),
      async handler(_, reply) {
        const sale = sales.current()
        if (!sale) return sendRefused(reply, refused('not_found'))
        if (method === 'DELETE') await sale.stop()
        return sendJson(reply, 200, JSON.stringify(saleAnswer(sale.state())))
      },
    })
  }
}

type Sales = {
  current(): Sale | null
  start(request: FastifyRequest, wanted: Static<typeof SaleBody>, key: KeyHashes): Promise<Outcome<Sale>>
}

/** Of one cell. They end when it stops. */
function openSales(app: FastifyInstance, options: ChaosRoutesOptions): Sales {
  const { cell, topology, peers, clock } = options
  const selling = { clock, dispatcher: openSaleAgent() }
  let last: { key: KeyHashes; sale: Sale | null } | null = null
  app.exchange.drain.addEventListener('abort', () => void last?.sale?.stop())
  app.addHook('onClose', () => selling.dispatcher.destroy())

  function targets(): SaleTarget[] {
    const { address, port, family } = app.server.address() as AddressInfo
    const own = { cell, url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}` }
    const others = topology.current().cells.filter(({ name, state }) => name !== cell && state === 'active')
    const within = options.faults.cutOff ? [] : others.filter(({ name }) => peers.isUp(name))
    return [own, ...within.map(({ name, url }) => ({ cell: name, url }))]
  }

  async function begin({ headers }: FastifyRequest, { units, buyers }: Static<typeof SaleBody>) {
    const id = randomUUID()
    const sku = `FLASH-${Math.floor(clock.now() / 1000)}`
    const order = { id, sku, units, buyers, authorization: headers.authorization! }
    const at = targets()
    const received = await receiveUnits(selling, at[0]!, order)
    return received?.status === 200 ? beginSale(selling, order, at) : refusalIn(received?.text)
  }

  return {
    current: () => last?.sale ?? null,
    async start(request, wanted, key) {
      if (last?.key.hash === key.hash) {
        if (last.key.request !== key.request) return refused('idempotency_key_reused')
        return last.sale ? replayed(last.sale) : refused('idempotency_key_in_flight')
      }
      if (last && last.sale?.state().state !== 'over' && last.sale?.state().state !== 'stopped')
        return refused('sale_running')
      const before = last
      const beginning: { key: KeyHashes; sale: Sale | null } = { key, sale: null }
      last = beginning
      try {
        const begun = await begin(request, wanted)
        if ('code' in begun) return begun
        beginning.sale = begun
        return accepted(begun)
      } finally {
        if (!beginning.sale) last = before
      }
    },
  }
}

/** As the units were refused, so is the sale. */
function refusalIn(text: string | undefined): Refused {
  const { code, detail } = JSON.parse(text ?? '{}') as { code?: string; detail?: string }
  return code !== undefined && code in errorTable ? refused(code as ErrorCode, detail) : refused('cell_unreachable')
}

const total = (byCell: SaleState['byCell'], which: keyof typeof counts): number =>
  byCell.reduce((sum, one) => sum + one[which], 0)

const saleAnswer = ({ startedAt, byCell, ...sale }: SaleState): Static<typeof SaleAnswer> => ({
  ...sale,
  started_at: toRfc3339(startedAt),
  by_cell: byCell,
  sold: total(byCell, 'sold'),
  refused: total(byCell, 'refused'),
  failed: total(byCell, 'failed'),
})
