// The doctor's look at a deployment through its API: every cell is asked itself, and what they say is compared.
import { type Client, createClient, HoldfastError } from '@holdfast/sdk'
import { limits } from '../base/limits.ts'
import { type Finding, finding } from './doctor-findings.ts'

/** What one cell says; `undefined` where it does not answer. */
type Seen = { cell: string; topologyVersion: number; release: string | undefined; findings: Finding[] }

export async function lookAtCells({ url, key }: { url: string; key: string }): Promise<Finding[]> {
  const { topology } = await createClient({ url, key, deadlineMs: limits.doctorMsMax }).cells.list()
  const there = topology.cells.filter(({ state }) => state !== 'removed')
  const seen = await Promise.all(there.map(({ name, url }) => lookAtCell(name, { url, key })))
  return [...seen.flatMap(({ findings }) => findings), ...disagreements(seen)]
}

async function lookAtCell(cell: string, { url, key }: { url: string; key: string }): Promise<Seen> {
  const client = createClient({ url, key, deadlineMs: limits.doctorMsMax })
  const seen: Seen = { cell, topologyVersion: 0, release: undefined, findings: [] }
  try {
    const { topology } = await client.cells.list()
    seen.topologyVersion = topology.version
    seen.release = await releaseAt(url)
    const found = await Promise.all([readiness(cell, url), consumers(cell, client), audits(cell, client)])
    seen.findings.push(...found.flat(), ...(await peers(cell, client)), ...(await promises(cell, client)))
  } catch (error) {
    seen.findings.push(unasked(cell, url, error))
  }
  return seen
}

function unasked(cell: string, url: string, error: unknown): Finding {
  if (error instanceof HoldfastError && error.status !== 0)
    return finding(cell)(
      'not_answered',
      `It answers ${error.status} ${error.code}: ${error.message}`,
      'Give a --key with the scopes cells:read, consumers:read and audit:read; else see docs/generated/ERRORS.md for the code.',
    )
  if (!(error instanceof HoldfastError) && !(error instanceof TypeError) && !(error instanceof DOMException))
    throw error
  return finding(cell)(
    'cell_down',
    `It does not answer at ${url}.`,
    'See docs/runbooks/HoldfastCellDown.md: start it, or see to the network.',
  )
}

const ask = (url: string): Promise<Response> => fetch(url, { signal: AbortSignal.timeout(limits.doctorMsMax) })

async function releaseAt(url: string): Promise<string | undefined> {
  const text = await (await ask(`${url}/metrics`)).text()
  return /^holdfast_build_info\{[^}]*version="([^"]+)"/m.exec(text)?.[1]
}

const notReady: Record<string, string> = {
  frozen: 'It may have gone back in time. Run holdfast reconcile beside it: docs/runbooks/HoldfastCellFrozen.md.',
  standby_unreachable: 'Bring its standby back, or make it local: docs/runbooks/HoldfastGateShut.md.',
  isolated: 'It hears no other cell: see to its network, docs/runbooks/HoldfastCellIsolated.md.',
  shop_not_received: 'The shop comes from the first cell: start that, and let the two reach each other.',
  database_unreachable: 'Its PostgreSQL does not answer: start it, and see to its disk and its log.',
  database_slow: 'Its PostgreSQL takes seconds to answer: look at it with holdfast doctor --database-url.',
  draining: 'It stops. Nothing is to be done, unless nobody has told it to.',
}

async function readiness(cell: string, url: string): Promise<Finding[]> {
  const at = finding(cell)
  const sentAt = Date.now()
  const answer = await ask(`${url}/readyz`)
  const { reasons } = (await answer.json()) as { reasons: string[] }
  const found = reasons.map((reason) =>
    at(reason, `It is not ready: ${reason}.`, notReady[reason] ?? 'See the log of the cell.'),
  )
  const between = (sentAt + Date.now()) / 2
  const theirs = Date.parse(answer.headers.get('date') ?? '') + 500 // it tells whole seconds
  const offMs = theirs - between
  if (Math.abs(offMs) > limits.doctorClockMs)
    found.push(
      at(
        'clock_offset',
        `Its clock is ${Math.round(Math.abs(offMs) / 1000)} s ${offMs > 0 ? 'ahead of' : 'behind'} this machine’s.`,
        'Have both set by a time server; at 60 s cells refuse each other: docs/runbooks/HoldfastClockSkew.md.',
      ),
    )
  return found
}

async function consumers(cell: string, client: Client): Promise<Finding[]> {
  const at = finding(cell)
  const { data } = await client.consumers.list()
  const found: Finding[] = []
  for (const { name, paused, lag_events, lag_seconds, dead_letters } of data) {
    if (paused)
      found.push(
        at(
          'consumer_paused',
          `The consumer ${name} is paused, ${lag_events} events behind; the log keeps all that it has still to read.`,
          `Ask who has paused it, then: holdfast consumer resume ${name}`,
        ),
      )
    else if (lag_seconds > limits.eventLagSecondsGood)
      found.push(
        at(
          'consumer_behind',
          `The consumer ${name} is ${lag_seconds} s and at most ${lag_events} events behind.`,
          'See the log of the cell for why it fails, and docs/runbooks/HoldfastEventLag.md.',
        ),
      )
    if (dead_letters > 0)
      found.push(
        at(
          'dead_events',
          `${dead_letters} events of the consumer ${name} stand aside.`,
          'holdfast dead list --kind consumer_event tells why; correct it, then holdfast dead retry.',
        ),
      )
  }
  const { data: letters, next_cursor } = await client.deadLetters.list({ limit: 100 })
  const others = letters.filter(({ kind }) => kind !== 'consumer_event')
  if (others.length > 0)
    found.push(
      at(
        'dead_letters',
        `${others.length}${next_cursor === null ? '' : ' or more'} payments or webhooks were given up.`,
        'holdfast dead list tells which and why; then holdfast dead retry, or drop with a reason.',
      ),
    )
  return found
}

async function audits(cell: string, client: Client): Promise<Finding[]> {
  const at = finding(cell)
  const audit = await client.audit()
  const found: Finding[] = []
  if (!audit.consistent)
    found.push(
      at(
        'audit_inconsistent',
        `Its audit of ${audit.checked_at} found ${audit.differences.length + audit.money.differences.length} differences.`,
        'Keep the output of holdfast audit --fresh --json, and see docs/runbooks/HoldfastAuditInconsistent.md.',
      ),
    )
  const ageMs = Date.now() - Date.parse(audit.checked_at)
  if (ageMs > limits.doctorAuditAgeMs)
    found.push(
      at(
        'audit_stale',
        `Its last audit ended ${Math.round(ageMs / 60_000)} minutes ago.`,
        'See the log of the cell for “audit”, and docs/runbooks/HoldfastAuditStale.md.',
      ),
    )
  return found
}

async function peers(cell: string, client: Client): Promise<Finding[]> {
  const at = finding(cell)
  const { data } = await client.cells.list()
  return data
    .filter(({ name }) => name !== cell)
    .flatMap(({ name, reachable, data_as_of }) => {
      if (!reachable)
        return at(
          'peer_unreachable',
          `It does not reach ${name}.`,
          'See to the network between the two, and docs/runbooks/HoldfastCellReachability.md.',
        )
      const ageMs = data_as_of === null ? 0 : Date.now() - Date.parse(data_as_of)
      if (ageMs <= limits.doctorReplicaAgeMs) return []
      return at(
        'replica_old',
        `What it knows of the shops, keys and settings of ${name} is ${Math.round(ageMs / 1000)} s old.`,
        `See the log of the cell for “consumer”, and the consumer of ${name} in holdfast consumer list.`,
      )
    })
}

/** Objectives that this process alone has not kept; a handful of events says nothing. */
async function promises(cell: string, client: Client): Promise<Finding[]> {
  const { data } = await client.objectives()
  return data
    .filter(({ good, total, target }) => total >= limits.doctorEventsMin && good / total < target)
    .map(({ name, good, total, target, since }) =>
      finding(cell)(
        `objective_${name}`,
        `Of ${total} events of ${name} since ${since}, ${total - good} were not good; ${(100 * (1 - target)).toFixed(1)} % may be.`,
        'See the objective’s page in docs/runbooks, and the dashboards for since when.',
      ),
    )
}

function disagreements(seen: readonly Seen[]): Finding[] {
  const answered = seen.filter(({ topologyVersion }) => topologyVersion > 0)
  const told = (of: (one: Seen) => string | number | undefined) =>
    answered.map((one) => `${one.cell}: ${of(one) ?? 'unknown'}`).join(', ')
  const differ = (of: (one: Seen) => string | number | undefined) => new Set(answered.map(of)).size > 1
  const found: Finding[] = []
  if (differ(({ release }) => release))
    found.push(
      finding('cells')(
        'versions_differ',
        `Cells run different versions (${told(({ release }) => release)}).`,
        'Go on with the upgrade, cell after cell: they work together meanwhile, and new features only when all have them.',
      ),
    )
  if (differ(({ topologyVersion }) => topologyVersion))
    found.push(
      finding('cells')(
        'topologies_differ',
        `Cells know different topologies (${told(({ topologyVersion }) => topologyVersion)}).`,
        'They tell each other within a second of reaching each other: see who does not, and the log for “a topology that is refused”.',
      ),
    )
  return found
}
