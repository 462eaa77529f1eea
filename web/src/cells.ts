// The only place that knows how a cell is called. A client for each cell, since the page talks to every cell itself; and one for
// all of them, first of the thing's home, for what any cell can answer.
import { type Client, type ControlRoom, createClient, type Session } from '@holdfast/sdk'

export type Cell = { name: string; region: string; url: string; state: 'active' | 'draining' }

const callMsMax = 15_000
const readMsMax = 4000 // of one cell among others: what cannot be had by then is shown as missing
const clients = new Map<string, Client>()

/** Of one cell alone: when it is out of reach, no other is asked. */
export const clientOf = (cell: Pick<Cell, 'name' | 'url'>, key: string): Client => clientWithin(cell, key, callMsMax)

/** As `clientOf`, for reads beside those of other cells, which do not wait for one that cannot be reached. */
export const readerOf = (cell: Pick<Cell, 'name' | 'url'>, key: string): Client => clientWithin(cell, key, readMsMax)

function clientWithin({ name, url }: Pick<Cell, 'name' | 'url'>, key: string, deadlineMs: number): Client {
  const id = `${name} ${url} ${key} ${deadlineMs}`
  const client = clients.get(id) ?? createClient({ url, key, cell: name, deadlineMs })
  clients.set(id, client)
  return client
}

/** Of whichever cell can be reached, first the one that `home` names: every cell sends on what is another's. */
export function clientOfAny(cells: readonly Cell[], key: string, home?: string): Client {
  const nearest = [...cells].sort((one, other) => Number(other.name === home) - Number(one.name === home))
  const urls = nearest.map(({ url }) => url)
  const id = `${urls.join(' ')} ${key}`
  const client = clients.get(id) ?? createClient({ urls, key, deadlineMs: callMsMax, attemptMs: callMsMax / 3 })
  clients.set(id, client)
  return client
}

/** The cell that an id of Holdfast names. */
export const homeOf = (id: string): string | undefined => id.split('_')[1]

/** One for each thing that somebody is about to do, so that it is done once however often it is asked for. */
export function intentKey(cell: string | undefined): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const random = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return cell === undefined ? random : `${cell}.${random}`
}

/** The key of the development profile; null where there is none. */
export async function developmentKey(): Promise<string | null> {
  const answer = await fetch('/control-room.json')
  return answer.ok ? ((await answer.json()) as ControlRoom).development_key : null
}

export const readSession = (key: string): Promise<Session> =>
  createClient({ url: location.origin, key, deadlineMs: callMsMax }).session()

export async function listCells(cells: readonly Cell[], key: string): Promise<Cell[]> {
  const { data } = await clientOfAny(cells, key).cells.list()
  // The page's own origin is as good a name for its cell as the topology's, and needs no leave to be asked.
  const own = cells.find(({ url }) => url === location.origin)?.name
  return data.map(({ name, region, url, state }) => ({
    name,
    region,
    url: name === own ? location.origin : url,
    state,
  }))
}
