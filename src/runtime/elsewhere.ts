// What routes may ask for when a request turns out to belong to another cell only once its body is read. A lone cell has none.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CellName } from '../base/ids.ts'
import type { Refused } from '../base/result.ts'

/** `isPlacedThere`: that cell is not to send it on because of its key. */
export type LineHome = { cell: CellName; isPlacedThere: boolean }

export type ForwardedLine = { key: string; body: unknown; path: '/v1/orders' | '/v1/stock/adjustments' }

export type Elsewhere = {
  /** The cell in which an order with this hold runs; undefined: here. Refuses `key_names_another_cell`, `cell_removed`. */
  homeOfOrder(request: FastifyRequest, holdId: string): CellName | Refused | undefined
  /** What the others are told of a key that names no cell, or another: it may be taken there too. Undefined where they need not be. */
  sharing(key: string): { names: CellName | null } | undefined
  /** Sends the request on with the body that was read, and answers what that cell answers. */
  forwardJson(request: FastifyRequest, reply: FastifyReply, home: LineHome, body: unknown): Promise<void>
  /** Likewise for an order that is a line of a bulk request. */
  homeOfLine(
    request: FastifyRequest,
    line: { key: string | undefined; holdId: string | undefined },
  ): Promise<LineHome | Refused | undefined>
  /** The answer to such a line, as a line; `path` is where it would go alone. */
  forwardLine(request: FastifyRequest, home: LineHome, line: ForwardedLine): Promise<string>
}
