// W3C Trace Context (https://www.w3.org/TR/trace-context-2/): who called within which trace, and whether that is sampled. Where
// nobody has said, the trace's own id decides, as OpenTelemetry's samplers by probability do: of its last 56 bits the highest.

export type TraceParent = { traceId: string; spanId: string; isSampled: boolean }

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Undefined: none that could be understood, and then there is none. */
export function readTraceparent(header: unknown): TraceParent | undefined {
  const match = typeof header === 'string' ? pattern.exec(header) : null
  if (!match) return undefined
  const [, version, traceId, spanId, flags, more] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ]
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export const traceparentText = ({ traceId, spanId, isSampled }: TraceParent): string =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`

/** So many random hexadecimal digits: told apart, not kept secret. */
export function hexId(digits: number, chance: () => number = Math.random): string {
  let text = ''
  while (text.length < digits)
    text += Math.floor(chance() * 2 ** 48)
      .toString(16)
      .padStart(12, '0')
  const id = text.slice(0, digits)
  return /[^0]/.test(id) ? id : `${id.slice(1)}1`
}

/** The id of a new trace that is sampled; null for one that is not, of which nothing else is drawn. */
export type Sampler = () => string | null

const drawnBits = 52 // all that one number of chance has

export function sampler(ratio: number, chance: () => number): Sampler {
  const threshold = (1 - ratio) * 2 ** drawnBits
  return () => {
    const drawn = Math.floor(chance() * 2 ** drawnBits)
    if (drawn < threshold || ratio === 0) return null
    return `${hexId(18, chance)}${drawn.toString(16).padStart(drawnBits / 4, '0')}${hexId(1, chance)}`
  }
}
