// The ports of the cells: all of them are looked at before anything is started.
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { listenFailure } from '../main.ts'
import { StartFailure } from '../runtime/start-failure.ts'

/** Below the ports that systems give to outgoing connections (from 32,768 on), one of which may come in between. */
const [freePortMin, freePortMax] = [20_000, 32_767]
const triesMax = 100

/**
 * One for each of `count` cells: the given one and those after it, or any that are free. Throws StartFailure when one is
 * taken; a cell's own listen decides when two start at once.
 */
export async function findPorts({
  host,
  port,
  count,
}: {
  host: string
  port: number
  count: number
}): Promise<number[]> {
  if (port === 0) return findFreePorts(host, count)
  const ports = Array.from({ length: count }, (_, at) => port + at)
  for (const one of ports) await checkPort(host, one)
  return ports
}

async function findFreePorts(host: string, count: number): Promise<number[]> {
  const found = new Set<number>()
  for (let tried = 0; found.size < count; tried++) {
    const port = randomInt(freePortMin, freePortMax + 1)
    try {
      await checkPort(host, port)
      found.add(port)
    } catch (error) {
      const isTaken = error instanceof StartFailure && error.code === 'port_in_use'
      if (!isTaken || tried >= triesMax) throw error
    }
  }
  return [...found]
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
