// How a piece of an event log travels between cells. Events are of all shops: a shop has the same number in all cells.
import type { Uuid } from '../base/ids.ts'
import type { Json } from '../base/json.ts'
import { limits } from '../base/limits.ts'
import { instant } from '../base/time.ts'
import type { LogEvent } from './event-log.ts'
import { parseTypes, type TypeFilter, typesText } from './event-types.ts'
import type { Lives } from './incarnation.ts'

/** Without `after`: from the oldest event kept on. `limit` 0 asks only where the log stands. */
export type LogQuestion = { after: string | null; types: TypeFilter; waitMs: number; limit: number }

/** `nextPosition`: everything that matches up to there is among the events; of limit 0 the oldest that is kept. */
export type LogAnswer = { events: LogEvent[]; nextPosition: string; horizonPosition: string; lives: Lives }

export const questionJson = ({ after, types, waitMs, limit }: LogQuestion): Json => ({
  after,
  types: typesText(types),
  wait_ms: waitMs,
  limit,
})

export function readQuestion(value: Json): LogQuestion | undefined {
  if (!isObject(value)) return undefined
  const { after = null, types, wait_ms: waitMs, limit } = value
  if ((after !== null && typeof after !== 'string') || typeof types !== 'string') return undefined
  if (!isCount(waitMs, limits.peerLogWaitMsMax) || !isCount(limit, limits.eventPageMax)) return undefined
  const filter = parseTypes(types)
  return filter === 'invalid' ? undefined : { after, types: filter, waitMs, limit }
}

export const answerJson = ({ events, nextPosition, horizonPosition, lives }: LogAnswer): Json => ({
  events: events.map(eventJson),
  next_position: nextPosition,
  horizon_position: horizonPosition,
  lives: lives.map((life) => ({ incarnation: life.incarnation, began_after_seq: life.beganAfterSeq })),
})

const eventJson = (event: LogEvent): Json => ({
  seq: event.seq,
  shop_id: event.shopId,
  event_id: event.eventId,
  subject: event.subject,
  subject_version: event.subjectVersion,
  type: event.type,
  at: event.at,
  data: event.data,
})

/** From a peer whose signature proves nothing of its version: undefined when it is something else. */
export function readAnswer(value: Json): LogAnswer | undefined {
  if (!isObject(value)) return undefined
  const { events, next_position: nextPosition, horizon_position: horizonPosition, lives } = value
  if (typeof nextPosition !== 'string' || typeof horizonPosition !== 'string') return undefined
  if (!Array.isArray(events) || !Array.isArray(lives) || lives.length === 0) return undefined
  const found = events.map(readEvent)
  const lived = lives.map(readLife)
  if (!found.every((event) => event !== undefined) || !lived.every((life) => life !== undefined)) return undefined
  return { events: found, nextPosition, horizonPosition, lives: lived }
}

function readEvent(value: Json): LogEvent | undefined {
  if (!isObject(value)) return undefined
  const { seq, shop_id: shopId, event_id: eventId, subject, subject_version: subjectVersion, type, at, data } = value
  if (!isCount(seq) || !isCount(shopId) || !isCount(subjectVersion) || typeof at !== 'number') return undefined
  if (typeof eventId !== 'string' || typeof subject !== 'string') return undefined
  if (typeof type !== 'string' || typeof data !== 'string') return undefined
  return { seq, shopId, eventId: eventId as Uuid, subject, subjectVersion, type, at: instant(at), data }
}

function readLife(value: Json): Lives[number] | undefined {
  if (!isObject(value)) return undefined
  const { incarnation, began_after_seq: beganAfterSeq } = value
  if (typeof incarnation !== 'string' || !isCount(beganAfterSeq)) return undefined
  return { incarnation: incarnation as Uuid, beganAfterSeq }
}

const isObject = (value: Json): value is { [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isCount = (value: Json | undefined, max: number = Number.MAX_SAFE_INTEGER): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
