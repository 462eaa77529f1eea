// The guards, and what the code looks like without each. An edit must match its file exactly once, so that a mutant cannot
// silently become the code itself.

import { edit, type Mutant } from './mutant.ts'
import { mutantsOfCells } from './mutants-of-cells.ts'
import { goodsMutants } from './mutants-of-goods.ts'

const engine = 'src/modules/orders/engine.ts'
const memory = 'src/modules/orders/engine-memory.ts'
const orders = 'src/modules/orders/decide.ts'
const batchState = 'src/modules/orders/batch-state.ts'
const money = 'src/modules/orders/decide-payment.ts'
const due = 'src/modules/orders/due.ts'
const goods = 'src/modules/orders/decide-fulfilment.ts'
const payments = 'src/modules/payments/decide.ts'
const paymentsConsumer = 'src/modules/payments/consumer.ts'
const prompt = 'src/modules/payments/prompt.ts'
const stock = 'src/modules/stock/decide.ts'
const adjust = 'src/modules/stock/decide-adjust.ts'
const sourcing = 'src/modules/stock/sourcing.ts'
const batch = 'src/runtime/batch.ts'
const inbox = 'src/runtime/inbox.ts'
const consumer = 'test/sim/consumer.ts'

const noUniqueKeys = edit(
  memory,
  "await insertUnique(transaction, transaction.database.tables.keys, keyOf(row.shopId, row.hash), 'keys_pkey')",
  '',
)

export const mutants: Mutant[] = [
  {
    name: 'stock rows are not locked',
    guard: 'row lock',
    edits: [edit(memory, 'if (!made.has(id)) await database.locks.acquire(owner, rowLock(id))', '')],
  },
  {
    name: 'orders and holds are not locked',
    guard: 'row lock',
    edits: [edit(memory, 'await database.locks.acquire(owner, thingLock(table, id))\n    locked.push', 'locked.push')],
  },
  {
    name: 'rows are locked in the order they were named',
    guard: 'lock order',
    edits: [edit(memory, '[...standing, ...own].toSorted((a, b) => a - b)', '[...standing, ...own]')],
  },
  {
    name: 'a row that was added while the others were waited for is not seen',
    guard: 'count after the locks',
    edits: [edit(memory, 'if (rows.length !== count)', 'if (rows.length > count)')],
  },
  {
    name: 'keys are not looked up',
    guard: 'key look-up',
    edits: [edit(engine, 'for (const key of loaded.found.keys) state.keys.set(keyOf(key.shopId, key.hash), key)', '')],
  },
  {
    name: 'keys are not looked up, nor unique in the table',
    guard: 'key look-up',
    edits: [
      edit(engine, 'for (const key of loaded.found.keys) state.keys.set(keyOf(key.shopId, key.hash), key)', ''),
      noUniqueKeys,
    ],
  },
  { name: 'keys are not unique in the table', guard: 'unique key', edits: [noUniqueKeys] },
  {
    name: 'a key may be in two batches at once, and is not unique in the table',
    guard: 'key in flight',
    edits: [
      edit(batch, 'else if (entry.key !== null && busyKeys.has(entry.key)) park(entry.key, entry)', ''),
      noUniqueKeys,
    ],
  },
  {
    name: 'keys are looked up before the rows are locked, and are not unique in the table',
    guard: 'keys after locks',
    edits: [
      edit(
        engine,
        'const [orders, holds] = await Promise.all([',
        'const early = tx.lookUp(footprint)\n        const [orders, holds] = await Promise.all([',
      ),
      edit(engine, 'tx.lookUp(footprint),\n        tx.now()', 'early,\n          tx.now()'),
      noUniqueKeys,
    ],
  },
  {
    name: 'the body of a key is not compared',
    guard: 'key look-up',
    edits: [edit(orders, 'if (earlier.request !== key.request)', 'if (earlier.request === null)')],
  },
  {
    name: 'shops share keys',
    guard: 'shop in the key',
    edits: [
      edit(
        batchState,
        '(shopId: ShopId, hash: string): string => `',
        '(shopId: ShopId, hash: string): string => hash || `',
      ),
    ],
  },
  {
    name: 'shops share the versions of a subject',
    guard: 'shop in the key',
    edits: [edit(inbox, '(event: LogEvent): string => `', '(event: LogEvent): string => event.subject || `')],
  },
  {
    name: 'each line sees all units of its SKU',
    guard: 'summing of lines',
    edits: [
      edit(
        stock,
        'for (const [sku, quantity] of quantityBySku(lines)) {\n    const rows',
        'for (const { sku, quantity } of lines) {\n    const rows',
      ),
      edit(
        stock,
        'if (allocations) sources.set(sku, allocations)',
        'if (allocations) sources.set(sku, [...(sources.get(sku) ?? []), ...allocations])',
      ),
    ],
  },
  {
    name: 'an order may take more than its hold has',
    guard: 'hold covers the order',
    edits: [edit(orders, 'if ((held.get(sku) ?? 0) < quantity)', 'if (!held.has(sku))')],
  },
  {
    name: 'a hold that an order used stays active',
    guard: 'hold is consumed',
    edits: [edit(orders, 'if (hold) endHold(', 'if (hold && state.cell.length === 0) endHold(')],
  },
  {
    name: 'availability is not checked',
    guard: 'availability',
    edits: [
      edit(sourcing, 'if (availableOf(rows) < quantity) return undefined', ''),
      edit(sourcing, 'Math.min(left, Math.max(0, availableInRow(row)))', 'left'),
    ],
  },
  {
    name: 'holds never expire',
    guard: 'expiry check',
    edits: [
      edit(
        stock,
        "if (hold.status !== 'active' || hold.expiresAt > state.now) continue",
        'if (hold.expiresAt > 0) continue',
      ),
    ],
  },
  {
    name: 'holds expire a little early',
    guard: 'expiry check',
    edits: [edit(stock, 'hold.expiresAt > state.now) continue', 'hold.expiresAt > state.now + 20) continue')],
  },
  {
    name: 'unpaid orders never expire',
    guard: 'expiry check',
    edits: [
      edit(
        orders,
        'order.expiresAt === null || order.expiresAt > state.now) continue',
        'order.expiresAt === null || order.expiresAt > 0) continue',
      ),
    ],
  },
  {
    name: 'what is due is left to the sweeper',
    guard: 'expiry in the same batch',
    edits: [edit(engine, "if (footprint.due.skus !== 'any') footprint.due.skus = footprint.skus", '')],
  },
  {
    name: 'a refusal does not wait for units that another batch is freeing',
    guard: 'wait for what is due',
    edits: [edit(engine, '!isLast && outcomes', 'outcomes.length < 0 && outcomes')],
  },
  {
    name: 'a failed write is not noticed, and every answer to COMMIT is taken for done',
    guard: 'commit tag',
    edits: [
      edit(
        engine,
        'const writing = [tx.write(state, unusedRows(state)), tx.commit()]',
        'const writing = [tx.write(state, unusedRows(state)).catch(() => {}), tx.commit()]',
      ),
      edit(memory, "if (tag !== 'COMMIT')", "if (tag === 'ROLLBACK' && lane < 0)"),
    ],
  },
  {
    name: 'answers before COMMIT is answered',
    guard: 'answer after commit',
    edits: [
      edit(
        engine,
        'const writing = [tx.write(state, unusedRows(state)), tx.commit()]',
        'const writing = [tx.write(state, unusedRows(state))]\n        tx.commit().catch(() => {})',
      ),
    ],
  },
  {
    name: 'a refused adjustment leaves its first half behind',
    guard: 'all or nothing',
    edits: [edit(adjust, 'drafts.get(row) ?? {', 'drafts.get(row) ?? row.version > 0 ? row : {')],
  },
  {
    name: 'rows made in vain are kept',
    guard: 'unused rows',
    edits: [edit(engine, 'return [...state.made].filter((id) =>', 'return [...state.made].filter((id) => id < 0 &&')],
  },
  {
    name: 'a correction may leave a SKU short',
    guard: 'decisions leave nothing short',
    edits: [edit(adjust, 'isDecided ? Math.max', 'isDecided && onHand < 0 ? Math.max')],
  },
  {
    name: 'a reference may be used twice',
    guard: 'unique reference',
    edits: [
      edit(
        orders,
        'state.references.has(referenceKey(command.shopId, command.reference))',
        'command.reference.length === 0',
      ),
    ],
  },
  {
    name: 'the log is read up to its last number at once',
    guard: 'settled log',
    edits: [edit(consumer, 'while (writers.some((writer) => database.writers.has(writer))) await pause()', '')],
  },
  {
    name: 'a consumer applies whatever it is handed',
    guard: 'apply once',
    edits: [
      edit(inbox, 'if (event.subjectVersion <= (versions.get(key) ?? 0)) return false', ''),
      edit(inbox, 'return taken.filter((event) => fresh.has(event.eventId))', 'return fresh.size < 0 ? [] : taken'),
    ],
  },
  {
    name: 'an authorization that comes too late is kept',
    guard: 'void of late authorizations',
    edits: [edit(money, 'else askVoid(state, order, payment)', '')],
  },
  {
    name: 'money that comes too late is kept',
    guard: 'refund of what is held beyond the cost',
    edits: [edit(money, 'if (amount <= 0) continue', 'if (amount <= 0 || order.status === "cancelled") continue')],
  },
  {
    name: 'what may have been done is sent again',
    guard: 'ask before retry',
    edits: [edit(payments, "state === 'unknown' || ageMs", 'ageMs')],
  },
  {
    name: 'no answer is taken for: nothing was done',
    guard: 'unknown is not failed',
    edits: [
      edit(payments, "if (heard === 'unknown' || heard === 'in_progress')", "if (heard === 'in_progress')"),
      edit(payments, "if (heard === 'never_heard')", "if (heard === 'unknown' || heard === 'never_heard')"),
    ],
  },
  {
    name: 'no answer is taken for: it failed',
    guard: 'unknown is not failed',
    edits: [
      edit(
        payments,
        'export function afterAnswer<T extends TrackedOperation>(\n  operation: T,\n  heard: Heard,',
        'export function afterAnswer<T extends TrackedOperation>(\n  operation: T,\n  heardOf: Heard,',
      ),
      edit(
        payments,
        'const later = addMs(now, pauseMs(operation.tries, chance))',
        "const later = addMs(now, pauseMs(operation.tries, chance))\n  const heard: Heard = heardOf === 'unknown' ? { says: 'failed', error: 'time-out' } : heardOf",
      ),
    ],
  },
  {
    name: 'a refund that is told twice is booked twice',
    guard: 'settlements apply once',
    edits: [
      edit(
        money,
        'if (refund.status === settlement.says || isOnlyOurWord(refund, settlement)) return accepted(order)',
        '',
      ),
    ],
  },
  {
    name: 'a payment that is told twice is booked twice',
    guard: 'settlements apply once',
    edits: [
      edit(money, 'if (!mayBecome(paymentTable, payment.status, settlement.says)) return accepted(order)', ''),
      edit(money, 'status: next(paymentTable, before.status, settlement.says),', 'status: settlement.says,'),
    ],
  },
  ...goodsMutants,
  ...mutantsOfCells,
  {
    name: 'a second attempt may begin beside an open one',
    guard: 'one open attempt',
    edits: [edit(money, "if (life.payments.some(isOpen)) return refused('payment_in_progress')", '')],
  },
  {
    name: 'an order expires while its payment is under way',
    guard: 'expiry waits for an attempt',
    edits: [
      edit(
        due,
        "status === 'pending' && !(life?.payments.some(isUnderWay) ?? false)",
        "status === 'pending' && (life === null || life.payments.length >= 0)",
      ),
    ],
  },
  {
    name: 'more may be refunded than was taken',
    guard: 'refund within the capture',
    edits: [
      edit(money, "if (amount > most || most === 0) return refused('refund_too_large')", ''),
      edit(money, 'Math.min(surplus, refundableOf(payment, lifeOf(order).refunds))', 'surplus'),
    ],
  },
  {
    name: 'units are credited when they are refunded, and again when they come back',
    guard: 'credited units count once',
    edits: [
      edit(
        goods,
        'Math.max(count, life.creditedUnits[index] ?? 0)',
        'Math.min(order.lines[index]!.quantity, count + (life.creditedUnits[index] ?? 0))',
      ),
    ],
  },
  {
    name: 'a capture is asked for with every change',
    guard: 'asked once',
    edits: [
      edit(
        money,
        "if (payment.status !== 'authorized' || payment.asked !== null || payment.givenUp !== undefined) continue",
        "if (payment.status !== 'authorized') continue",
      ),
      edit(money, "asked === 'capture' ? sum + amount : sum", 'sum'),
    ],
  },
  {
    name: 'an order is confirmed when its payment begins',
    guard: 'confirmed when paid',
    edits: [edit(money, "(life.captureRule === 'now' ? held : covered) >= cost", 'life.payments.length > 0')],
  },
  {
    name: 'what is set aside is captured before its deadline',
    guard: 'capture deadline',
    edits: [
      edit(
        due,
        'mayCaptureAtDeadline(status, life, payment) && isPastDeadline(',
        'mayCaptureAtDeadline(status, life, payment) || isPastDeadline(',
      ),
    ],
  },
  {
    name: 'nothing is captured at its deadline',
    guard: 'capture deadline',
    edits: [
      edit(
        due,
        "timingOf(life).atCaptureDeadline === 'capture' &&",
        "timingOf(life).atCaptureDeadline === 'none' as string &&",
      ),
    ],
  },
  {
    name: 'every shop cancels at the deadline',
    guard: 'capture deadline',
    edits: [edit(due, "timingOf(life).atCaptureDeadline === 'cancel' &&", '')],
  },
  {
    name: 'an authorization that has run out is counted',
    guard: 'end of an authorization',
    edits: [edit(due, 'payment.authorizedUntil <= now', 'payment.authorizedUntil <= 0')],
  },
  {
    name: 'an authorization is given away before its end',
    guard: 'end of an authorization',
    edits: [edit(due, 'payment.authorizedUntil <= now', 'payment.authorizedUntil >= 0')],
  },
  {
    name: 'an order whose money is gone stays confirmed',
    guard: 'unpaid orders wait again',
    edits: [edit(money, "if (order.status !== 'in_review' && order.status !== 'confirmed') return", 'return')],
  },
  {
    name: 'an order waits for money again though it has it',
    guard: 'unpaid orders wait again',
    edits: [
      edit(
        money,
        'if (hasShipped(life) || heldOf(life) + authorizedOf(life) >= costOf(order)) return',
        'if (hasShipped(life) || heldOf(life) >= costOf(order)) return',
      ),
    ],
  },
  {
    name: 'an order waits for money again, and forgets when its time is over',
    guard: 'unpaid orders wait again',
    edits: [edit(money, 'changeLife(order, { reservedUntil })', 'changeLife(order, { reservedUntil: null })')],
  },
  {
    name: 'a refund that is taken back is passed over',
    guard: 'refunds may come back',
    edits: [
      edit(
        money,
        "(settlement.error === 'provider_unavailable' || reference !== undefined)",
        '(settlement.error !== null || reference !== undefined)',
      ),
    ],
  },
  {
    name: 'a capture that was dropped is asked for again',
    guard: 'dropped means dropped',
    edits: [edit(money, ' || payment.givenUp !== undefined) continue', ') continue')],
  },
  {
    name: 'an order waits for a capture that was dropped',
    guard: 'dropped means dropped',
    edits: [
      edit(
        money,
        'replacePayment(order, { ...payment, asked: null, givenUp: asked })',
        'replacePayment(order, { ...payment, givenUp: asked })',
      ),
    ],
  },
  {
    name: 'an edit takes away what it does not name',
    guard: 'edits field by field',
    edits: [edit(orders, 'tags: command.tags ?? order.annotations?.tags ?? [],', 'tags: command.tags ?? [],')],
  },
  {
    name: 'a key is used as long as there is no answer',
    guard: 'keys are forgotten after a day',
    edits: [edit(payments, "state === 'unknown' || ageMs >= limits.providerKeyMsMax", "state === 'unknown'")],
  },
  {
    name: 'what another process has called at once is sent without asking',
    guard: 'ask before the second process sends',
    edits: [edit(paymentsConsumer, "kind === 'authorize' || now - askedAt", 'now - askedAt')],
  },
  {
    name: 'what was called at once, and not answered, is sent again when it is read from the log',
    guard: 'what was called at once is remembered',
    edits: [
      edit(
        paymentsConsumer,
        'return prompted.operation\n',
        "return { ...operation, state: 'unsent', tries: 0, nextAt: now }\n",
      ),
    ],
  },
  {
    name: 'an attempt is called at once however long its COMMIT took',
    guard: 'called at once or not at all',
    edits: [edit(prompt, 'if (nowMs - sinceMs > limits.promptMsMax) return', '')],
  },
]
