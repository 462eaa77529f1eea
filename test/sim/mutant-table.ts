// The guards, and what the code looks like without each. An edit must match its file exactly once, so that a mutant cannot
// silently become the code itself.

export type Edit = { file: string; from: string; to: string }
export type Mutant = { name: string; guard: string; edits: Edit[] }

const engine = 'src/modules/orders/engine.ts'
const memory = 'src/modules/orders/engine-memory.ts'
const orders = 'src/modules/orders/decide.ts'
const stock = 'src/modules/stock/decide.ts'
const sourcing = 'src/modules/stock/sourcing.ts'
const batch = 'src/runtime/batch.ts'
const inbox = 'src/runtime/inbox.ts'
const consumer = 'test/sim/consumer.ts'

const edit = (file: string, from: string, to: string): Edit => ({ file, from, to })

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
        orders,
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
    edits: [edit(engine, "footprint.due.ifLocked === 'skip' && outcomes", 'outcomes.length < 0 && outcomes')],
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
    edits: [edit(stock, 'drafts.get(row) ?? {', 'drafts.get(row) ?? row.version > 0 ? row : {')],
  },
  {
    name: 'rows made in vain are kept',
    guard: 'unused rows',
    edits: [edit(engine, 'return [...state.made].filter((id) =>', 'return [...state.made].filter((id) => id < 0 &&')],
  },
  {
    name: 'a correction may leave a SKU short',
    guard: 'decisions leave nothing short',
    edits: [
      edit(stock, 'if (!isFact && delta < 0 && leavesShort)', 'if (!isFact && delta < 0 && leavesShort && onHand < 0)'),
    ],
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
]
