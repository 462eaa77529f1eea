// The ports of the cells: all of them are looked at before anything is started.
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { listenFailure } from '../main.ts'
import { StartFailure } from '../runtime/start-failure.ts'

/** Below the ports that systems give to outgoing connections (from 32,768 on), one of which may come in between. */
const [freePortMin, freePortMax] = [20_000, 32_767]
const portMax = 65_535
const triesMax = 100

export type PortsWanted = { host: string; port: number; count: number; needed?: number }

/**
 * One for each of `count` cells: the given one and those after it, or any that are free. Throws StartFailure when one of the
 * first `needed` is taken; a cell's own listen decides when two start at once.
 */
export async function findPorts({ host, port, count, needed = count }: PortsWanted): Promise<number[]> {
  if (port === 0) return findFreePorts(host, count)
  const last = port + count - 1
  if (last > portMax)
    throw new StartFailure('usage', `--port ${port}: the last of ${count} cells would need port ${last}.`)
  const ports = Array.from({ length: count }, (_, at) => port + at)
  for (const one of ports.slice(0, needed)) await checkPort(host, one)
  return ports
}

/** The first free one from `port` on. */
export async function findPortFrom(host: string, port: number): Promise<number> {
  for (let one = port; one < port + triesMax && one <= portMax; one++) {
    if (await isFree(host, one)) return one
  }
  throw new StartFailure('port_in_use', `No port from ${port} on is free.`)
}

async function findFreePorts(host: string, count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tried = 0; found.size < count; tried++) {
    if (tried > triesMax) throw new StartFailure('port_in_use', `Found no ${count} free ports.`)
    const port = randomInt(freePortMin, freePortMax + 1)
    if (await isFree(host, port)) found.add(port)
  }
  return [...found]
}

async function isFree(host: string, port: number): Promise<boolean> {
  try {
    await checkPort(host, port)
    return true
  } catch (error) {
    if (error instanceof StartFailure && error.code === 'port_in_use') return false
    throw error
  }
}

async function checkPort(host: string, port: number): Promise<void> {
  const probe = createServer()
  try {
    probe.listen({ host, port, exclusive: true })
    await once(probe, 'listening')
  } catch (error) {
    throw listenFailure(error, { host, port })
  } finally {
    probe.close()
  }
}
