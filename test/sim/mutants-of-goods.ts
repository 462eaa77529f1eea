// The guards of goods: of parcels, of what leaves and what is cancelled, of exchanges.
import { edit, type Mutant } from './mutant.ts'

const orders = 'src/modules/orders/decide.ts'
const goods = 'src/modules/orders/decide-fulfilment.ts'
const parcels = 'src/modules/orders/decide-parcels.ts'

export const goodsMutants: Mutant[] = [
  {
    name: 'what was shipped can be cancelled',
    guard: 'cancel against ship',
    edits: [edit(orders, 'if (isAll && !hasShipped(lifeOf(order))) {', 'if (isAll) {')],
  },
  {
    name: 'what was cancelled can be shipped',
    guard: 'cancel against ship',
    edits: [
      edit(
        parcels,
        "if (order.status === 'cancelled') return refused('order_cancelled')\n  if (order.status === 'completed')",
        "if (order.status === 'completed')",
      ),
      edit(
        parcels,
        "return order.status === 'confirmed' ? undefined : refused('order_not_confirmed')",
        'return undefined',
      ),
    ],
  },
  {
    name: 'goods leave before they are paid',
    guard: 'shipped when confirmed',
    edits: [
      edit(
        parcels,
        "return order.status === 'confirmed' ? undefined : refused('order_not_confirmed')",
        'return undefined',
      ),
    ],
  },
  {
    name: 'units of a parcel may be put in another one',
    guard: 'units spoken for once',
    edits: [
      edit(
        parcels,
        'const free = order.lines.map((_, index) => at(freeAllocations(order, index)))',
        'const free = order.lines.map((_, index) => at(openAllocations(order, index)))',
      ),
    ],
  },
  {
    name: 'units of a parcel may be cancelled',
    guard: 'units spoken for once',
    edits: [
      edit(orders, '{ free: unitsFree(order), open: left }', '{ free: left, open: left }'),
      edit(
        orders,
        'const goes = copyOf(freeAllocations(order, index))',
        'const goes = copyOf(openAllocations(order, index))',
      ),
    ],
  },
  {
    name: 'parcels of a cancelled order are packed and shipped',
    guard: 'cancel against ship',
    edits: [edit(goods, 'giveUpParcels(state, order)', '')],
  },
  {
    name: 'a parcel that has left can be given up, and its units picked again',
    guard: 'cancel against ship',
    edits: [
      edit(parcels, "return hasLeft(found.parcel) ? refused('shipment_shipped') : found", 'return found'),
      edit(parcels, "status: next(shipmentTable, parcel.status, 'cancelled') }", "status: 'cancelled' } as const"),
    ],
  },
  {
    name: 'what a parcel misses is still in it',
    guard: 'short picks leave parcels',
    edits: [edit(goods, 'putParcel(order, { ...parcel, lines })', '')],
  },
  {
    name: 'an exchange announces its return though there is nothing to send for it',
    guard: 'both or neither',
    edits: [
      edit(
        orders,
        "if (!Array.isArray(units)) return refusedUnder('/return', units)",
        "if (!Array.isArray(units)) return refusedUnder('/return', units)\n  announceReturn(state, order, units, { ...command, exchangeOrderId: command.order.orderId })",
      ),
      edit(orders, 'announceReturn(state, order, units, { ...command, exchangeOrderId: placed.value.id })', ''),
    ],
  },
]
