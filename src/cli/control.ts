// What a running `holdfast start` can be told by other commands: a Unix socket in its data folder, one JSON value in and one
// out. Who listens there has the folder: a second start on it is refused before it has touched anything.
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { CellName } from '../base/ids.ts'
import { limits } from '../base/limits.ts'
import { asStartFailure, StartFailure } from '../runtime/start-failure.ts'
import { CommandFailure } from './failure.ts'
import type { CellState } from './supervise.ts'

export type ControlRequest = { do: 'list' } | { do: 'start' | 'stop' | 'add'; cell: CellName }

/** What its parent knows of a cell. */
export type ControlledCell = { cell: CellName; state: CellState; url: string }

export type ControlAnswer = { pid: number; cells: ControlledCell[] }
type Refusal = { error: { code: string; message: string } }

export type Control = { close(): Promise<void> }

/** Only who may use the folder may ask. Throws StartFailure when another Holdfast runs on it. */
export async function openControl(
  data: string,
  carryOut: (request: ControlRequest) => Promise<ControlledCell[]>,
): Promise<Control> {
  await mkdir(data, { recursive: true })
  await refuseAnother(data)
  const path = await makeSocketPath(data)
  const server = createServer({ allowHalfOpen: true }, (socket) => void serve(socket, carryOut))
  await listen(server, path)
  return {
    async close() {
      server.close()
      if (path !== socketIn(data)) await rm(pointerIn(data), { force: true })
      if (path !== socketIn(data)) await rm(dirname(path), { recursive: true, force: true })
    },
  }
}

const socketIn = (data: string): string => join(data, 'control.sock')

/** Where the socket is when the folder's own path is too long for one. */
const pointerIn = (data: string): string => join(data, 'control.json')

async function refuseAnother(data: string): Promise<void> {
  const path = await findSocket(data)
  const found = await exchange(path, { do: 'list' }, limits.controlClaimMsMax).catch((error) => {
    if (isNobody(error)) return undefined
    return { pid: undefined }
  })
  if (!found) return
  const who = 'pid' in found && found.pid !== undefined ? ` (pid ${found.pid})` : ''
  throw new StartFailure(
    'data_folder_in_use',
    `Another Holdfast${who} runs on ${data}: stop it, or choose another --data.`,
  )
}

const isNobody = (error: unknown): boolean =>
  ['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'EINVAL', 'ENAMETOOLONG'].includes((error as NodeJS.ErrnoException).code ?? '')

/** Free of what a killed one left there. */
async function makeSocketPath(data: string): Promise<string> {
  const own = socketIn(data)
  await rm(own, { force: true })
  if (Buffer.byteLength(own) <= limits.controlPathBytesMax) {
    await rm(pointerIn(data), { force: true })
    return own
  }
  const path = join(await mkdtemp(join(tmpdir(), 'holdfast-control-')), 'control.sock')
  await writeFile(pointerIn(data), `${JSON.stringify({ socket: path })}\n`, { mode: 0o600 })
  return path
}

async function findSocket(data: string): Promise<string> {
  const pointer = await readFile(pointerIn(data), 'utf8').catch(() => undefined)
  return pointer === undefined ? socketIn(data) : (JSON.parse(pointer) as { socket: string }).socket
}

async function listen(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177) // the socket is made within listen(), so nobody else ever may use it
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
  await once(server, 'listening')
}

async function serve(socket: Socket, carryOut: (request: ControlRequest) => Promise<ControlledCell[]>): Promise<void> {
  socket.on('error', () => {}) // who asked is gone
  const answer = await read(socket)
    .then((text) => carryOut(JSON.parse(text) as ControlRequest))
    .then((cells): ControlAnswer => ({ pid: process.pid, cells }))
    .catch((error): Refusal => {
      const { code, message } = error instanceof CommandFailure ? error : (asStartFailure(error) ?? fault(error))
      return { error: { code, message } }
    })
  socket.end(JSON.stringify(answer))
}

const fault = (error: unknown) => ({ code: 'internal', message: error instanceof Error ? error.message : 'unknown' })

/**
 * Throws CommandFailure with what the running Holdfast says no with, or when none runs on the folder. `mayEnd`: this process may end
 * before it is answered.
 */
export async function askControl(
  data: string,
  request: ControlRequest,
  { mayEnd = false }: { mayEnd?: boolean } = {},
): Promise<ControlAnswer> {
  const answer = await exchange(await findSocket(data), request, limits.controlMsMax, mayEnd).catch((error) => {
    throw isNobody(error)
      ? new CommandFailure('not_running', `No holdfast start runs on ${data}: name its --data folder.`)
      : new CommandFailure('no_answer', `The holdfast start on ${data} does not answer: ${(error as Error).message}.`)
  })
  if ('error' in answer) throw new CommandFailure(answer.error.code, answer.error.message)
  return answer
}

async function exchange(
  path: string,
  request: ControlRequest,
  timeoutMs: number,
  mayEnd = false,
): Promise<ControlAnswer | Refusal> {
  const socket = connect(path)
  if (mayEnd) socket.unref()
  try {
    await once(socket, 'connect')
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
    socket.end(JSON.stringify(request))
    return JSON.parse(await read(socket)) as ControlAnswer | Refusal
  } finally {
    socket.destroy()
  }
}

async function read(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += chunk
    if (text.length > limits.controlBytesMax) throw new Error(`more than ${limits.controlBytesMax} characters`)
  }
  return text
}
