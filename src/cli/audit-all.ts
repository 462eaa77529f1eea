// holdfast audit --all: whether units are conserved over all cells, found while they run and without a moment that they share. Totals
// only grow, so those read at the taker before those at the giver tell of every unit that was received and never sent; and what
// cells have had in all, less what they have and have shipped, lies between what the totals said before the audits and after.
import { type Audit, type Client, createClient, HoldfastError, type TransferList } from '@holdfast/sdk'
import { usage } from './failure.ts'
import { formatTable } from './table.ts'

type Sums = Audit['sums']
type Amounts = TransferList['data'][number]['sent']
type Total = { sku: string; location: string; sent: Amounts; received: Amounts }
/** By place; of one other cell. */
type Totals = ReadonlyMap<string, Total>
/** By the name of the other cell. */
type TotalsOfAll = ReadonlyMap<string, Totals>

export type CellRead = { cell: string; before: TotalsOfAll; audit: Audit; after: TotalsOfAll }
type Missing = { cell: string; why: string }

export type AuditFault =
  | { kind: 'cell_inconsistent'; cell: string }
  | {
      kind: 'received_more_than_sent'
      from: string
      to: string
      sku: string
      location: string
      of: keyof Amounts
      sent: number
      received: number
    }
  | { kind: 'not_conserved'; units: number; at_least: number; at_most: number }

export type AuditOfAll = {
  consistent: boolean
  /** Cells that could not be read: what they hold is in no sum. */
  missing: readonly Missing[]
  cells: readonly { cell: string; consistent: boolean; sums: Sums }[]
  sums: Sums
  /** Units between the cells that were read. */
  in_flight: { at_least: number; at_most: number }
  faults: readonly AuditFault[]
}

export async function auditAll({
  url = '',
  key,
  json,
}: {
  url?: string
  key?: string
  json: boolean
}): Promise<number> {
  if (!URL.canParse(url))
    throw usage('--all needs --url, the address of one of the cells, such as http://127.0.0.1:8080.')
  if (!key) throw usage('--key is missing: the development profile accepts sk_dev.')
  const { topology } = await createClient({ url, key }).cells.list()
  const names = topology.cells.map(({ name }) => name)
  const clients = topology.cells
    .filter(({ state }) => state !== 'removed')
    .map(({ name, url }) => ({ name, client: createClient({ url, key, deadlineMs }) }))
  const missing: Missing[] = []
  const read = await readAll(clients, names, missing)
  const report = compareCells(read, missing)
  print(report)
  if (json) console.log(JSON.stringify(report))
  return report.consistent ? 0 : 1
}

/** A cell that is down is told as missing, after so long. */
const deadlineMs = 10_000

type Named = { name: string; client: Client }

/** All cells' totals, then their audits, then all totals again; who fails once is left out. */
async function readAll(clients: readonly Named[], names: readonly string[], missing: Missing[]): Promise<CellRead[]> {
  async function ofEach<T>(of: readonly Named[], work: (one: Named) => Promise<T>): Promise<Map<string, T>> {
    const found = new Map<string, T>()
    const one = async (named: Named): Promise<void> => {
      try {
        found.set(named.name, await work(named))
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error
        missing.push({ cell: named.name, why: error.message })
      }
    }
    await Promise.all(of.map(one))
    return found
  }
  const totals = (one: Named) =>
    readTotals(
      one.client,
      names.filter((name) => name !== one.name),
    )
  const before = await ofEach(clients, totals)
  const there = clients.filter(({ name }) => before.has(name))
  const audits = await ofEach(there, ({ client }) => client.audit({ fresh: true }))
  const after = await ofEach(
    there.filter(({ name }) => audits.has(name)),
    totals,
  )
  return [...after].map(([cell, totalsAfter]) => ({
    cell,
    before: before.get(cell)!,
    audit: audits.get(cell)!,
    after: totalsAfter,
  }))
}

async function readTotals(client: Client, peers: readonly string[]): Promise<TotalsOfAll> {
  const totals = new Map<string, Totals>()
  for (const peer of peers) {
    const ofPeer = new Map<string, Total>()
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: TransferList = await client.stock.transfers({ peer, ...(cursor === '' ? {} : { cursor }) })
      for (const total of page.data) ofPeer.set(placeOf(total), total)
      cursor = page.next_cursor
    }
    totals.set(peer, ofPeer)
  }
  return totals
}

const placeOf = ({ sku, location }: { sku: string; location: string }): string => `${location}\n${sku}`

/** Pure. */
export function compareCells(read: readonly CellRead[], missing: readonly Missing[]): AuditOfAll {
  const faults: AuditFault[] = read.flatMap(({ cell, audit }) =>
    audit.consistent ? [] : [{ kind: 'cell_inconsistent' as const, cell }],
  )
  for (const taker of read) for (const giver of read) faults.push(...overReceived(giver, taker))
  const sums = sumsOf(read)
  const units = sums.received + sums.returned + sums.corrections - sums.on_hand - sums.shipped
  const everywhere = underWay(read, () => true)
  if (units < everywhere.at_least || units > everywhere.at_most)
    faults.push({ kind: 'not_conserved', units, ...everywhere })
  const names = new Set(read.map(({ cell }) => cell))
  const between = underWay(read, (peer) => names.has(peer))
  return {
    consistent: faults.length === 0,
    missing,
    cells: read.map(({ cell, audit }) => ({ cell, consistent: audit.consistent, sums: audit.sums })),
    sums,
    in_flight: { at_least: Math.max(0, between.at_least), at_most: between.at_most },
    faults,
  }
}

function overReceived(giver: CellRead, taker: CellRead): AuditFault[] {
  const sentTo = giver.after.get(taker.cell)
  const faults: AuditFault[] = []
  for (const [place, { sku, location, received }] of taker.before.get(giver.cell) ?? []) {
    const sent = sentTo?.get(place)?.sent ?? { units: 0, allowance: 0 }
    for (const name of ['units', 'allowance'] as const) {
      if (received[name] <= sent[name]) continue
      const between = { from: giver.cell, to: taker.cell, sku, location, of: name }
      faults.push({ kind: 'received_more_than_sent', ...between, sent: sent[name], received: received[name] })
    }
  }
  return faults
}

/** Sent and not received, as far as the cells that were read can tell; with one that was not, all that went there less what came. */
function underWay(read: readonly CellRead[], isCounted: (peer: string) => boolean) {
  const units = (when: 'before' | 'after', way: 'sent' | 'received'): number => {
    let sum = 0
    for (const one of read)
      for (const [peer, totals] of one[when])
        if (isCounted(peer)) for (const total of totals.values()) sum += total[way].units
    return sum
  }
  return {
    at_least: units('before', 'sent') - units('after', 'received'),
    at_most: units('after', 'sent') - units('before', 'received'),
  }
}

const sumNames = [
  ...['received', 'returned', 'corrections', 'transferred', 'on_hand'],
  ...['reserved', 'committed', 'shipped', 'in_flight'],
] as readonly (keyof Sums)[]

function sumsOf(read: readonly CellRead[]): Sums {
  const all = sumNames.map((name) => [name, read.reduce((sum, { audit }) => sum + audit.sums[name], 0)])
  return Object.fromEntries(all) as Sums
}

function print({ consistent, missing, cells, sums, in_flight, faults }: AuditOfAll): void {
  console.log(consistent ? 'Consistent' : 'NOT CONSISTENT')
  const right = (head: string) => ({ head, align: 'right' as const })
  const shown = sumNames.filter((name) => name !== 'in_flight')
  const row = (name: string, of: Sums) => [name, ...shown.map((sum) => of[sum].toLocaleString('en'))]
  const rows = [...cells.map((one) => row(one.cell, one.sums)), row('all', sums)]
  console.log(formatTable([{ head: 'Units' }, ...shown.map(right)], rows))
  const { at_least, at_most } = in_flight
  const told = at_least === at_most ? String(at_most) : `${at_least} to ${at_most}, some moved meanwhile`
  console.log(`\nIn flight between them: ${told}`)
  for (const { cell, why } of missing) console.log(`Missing: ${cell} (${why})`)
  for (const fault of faults) console.log(`Fault: ${JSON.stringify(fault)}`)
}
