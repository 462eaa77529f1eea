// Routes whose bodies are lines of JSON (NDJSON): the content type, the head of the answer, and what becomes of a line
// whose handling fails. Each line is answered for itself, so a failure of one is a line too.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { problemJson, statusOf } from '../base/problem.ts'
import { type Refused, refused } from '../base/result.ts'
import { streamBegins } from './http.ts'
import { answerLines } from './ndjson.ts'

const linesType = 'application/x-ndjson'

declare module 'fastify' {
  interface FastifyInstance {
    /** What an error stands for that is thrown when the answer has begun already; logs what is a fault of ours. */
    refusalOfLate(error: unknown, request: FastifyRequest): Refused
  }
}

/** For an encapsulated instance. The body stays a stream: it has no bound as a whole, and each line is validated for itself. */
export function acceptLines(app: FastifyInstance): void {
  app.setValidatorCompiler(() => () => true)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(linesType, (_request, payload, done) => done(null, payload))
}

type Room = { isHalfFull(): boolean; whenRoom(): Promise<void> }

/** Streams both ways. `answer` may throw. */
export function sendLines(
  request: FastifyRequest,
  reply: FastifyReply,
  room: Room,
  answer: (line: Buffer) => Promise<string>,
): void {
  const { exchange, refusalOfLate } = request.server
  reply.hijack()
  streamBegins(request)
  reply.raw.writeHead(200, { 'content-type': linesType, 'x-request-id': request.id, 'holdfast-cell': exchange.cell })
  void answerLines(request.raw, reply.raw, {
    isHalfFull: room.isHalfFull,
    whenRoom: room.whenRoom,
    drain: exchange.drain,
    answer: (line) =>
      line === 'too_long' ? tooLong : answer(line).catch((error) => problemLine(refusalOfLate(error, request))),
  })
}

export const problemLine = (refusal: Refused): string =>
  `{"status":${statusOf(refusal.code)},"problem":${problemJson(refusal)}}`

const tooLong = problemLine(refused('body_too_large', 'A line is too long.'))
