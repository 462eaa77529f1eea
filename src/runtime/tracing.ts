// Traces by OpenTelemetry, as the rest of the code sees them: a request is sampled or it is not, and whoever works for one that is
// gets its span handed in. Nothing is made for the others, nothing is global, and without an endpoint nothing of the SDK is loaded.
import type { Context, Tracer } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace'
import { limits } from '../base/limits.ts'
import type { Clock } from './clock.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { release } from './release.ts'
import { hexId, type Sampler, sampler, type TraceParent, traceparentText } from './trace-context.ts'

/** Ids, codes and counts: no personal data, no keys, no texts of callers. */
export type SpanAttributes = Record<string, string | number | boolean>
export type SpanKind = 'internal' | 'server' | 'client'

/** Of a sampled trace. */
export type Span = {
  readonly traceId: string
  readonly spanId: string
  /** W3C Trace Context: what a request that is made within it carries. */
  readonly traceparent: string
  child(name: string, attributes?: SpanAttributes, kind?: SpanKind): Span
  set(attributes: SpanAttributes): void
  /** Once. `failure`: a word of ours, never a message, which may hold data. */
  end(failure?: string): void
}

export type SpanFacts = { name: string; attributes: SpanAttributes }

export type Tracing = {
  /**
   * Goes on with the caller's trace if that is sampled; begins one of so many where there is none. Null: not sampled, and then
   * nothing was asked.
   */
  serve(caller: TraceParent | undefined, describe: () => SpanFacts): Span | null
  /** For work that no request waits for: one of so many. */
  sample(name: string, attributes: SpanAttributes, kind?: SpanKind): Span | null
  /** For work that is done for several traces at once, and belongs to none: a trace of its own, with links to them. */
  join(name: string, spans: readonly Span[], attributes: SpanAttributes): Span
  /** Tries to send what is left, for a moment. */
  stop(): Promise<void>
}

export type TracingOptions = {
  /** Where OTLP/HTTP is taken; undefined: no tracing. */
  endpoint: string | undefined
  ratio: number
  cell: string
  clock: Pick<Clock, 'sleep'>
  metrics: Pick<Metrics, 'counter'>
  log: Pick<Log, 'info' | 'warn'>
}

/** Null without an endpoint. */
export async function openTracing(options: TracingOptions): Promise<Tracing | null> {
  const { endpoint, ratio, cell, clock } = options
  if (endpoint === undefined) return null
  const [api, sdk, { resourceFromAttributes }, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ])
  const url = `${endpoint.replace(/\/$/, '')}/v1/traces`
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: limits.traceExportMsMax })
  let nextTraceId = ''
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'holdfast',
      'service.namespace': 'holdfast',
      'service.version': release,
      'service.instance.id': cell,
      'holdfast.cell': cell,
    }),
    sampler: new sdk.AlwaysOnSampler(), // asked only for what is sampled
    idGenerator: { generateTraceId: () => nextTraceId, generateSpanId: () => hexId(16) },
    spanLimits: { attributeValueLengthLimit: limits.textCharactersMax, linkCountLimit: limits.traceLinksMax },
    spanProcessors: [
      bounded(options, exporter, (counted) => {
        return new sdk.BatchSpanProcessor({
          exporter: counted,
          maxQueueSize: limits.traceSpansQueuedMax,
          maxExportBatchSize: limits.traceSpansPerExportMax,
          scheduledDelayMillis: limits.traceExportEveryMs,
          exportTimeoutMillis: 2 * limits.traceExportMsMax, // the exporter's own ends first, and tells how it ended
        })
      }),
    ],
  })
  const tracer = provider.getTracer('holdfast')
  const begin = beginner(api, tracer)
  const rooted = (name: string, traceId: string, attributes: SpanAttributes, kind: SpanKind): Span => {
    nextTraceId = traceId
    return begin(name, { context: api.ROOT_CONTEXT, attributes, kind })
  }
  const draw: Sampler = sampler(ratio, Math.random)
  return {
    serve(caller, describe) {
      if (caller) {
        if (!caller.isSampled) return null
        const { name, attributes } = describe()
        const parent = { traceId: caller.traceId, spanId: caller.spanId, traceFlags: 1, isRemote: true }
        const context = api.trace.setSpanContext(api.ROOT_CONTEXT, parent)
        return begin(name, { context, attributes, kind: 'server' })
      }
      const traceId = draw()
      if (traceId === null) return null
      const { name, attributes } = describe()
      return rooted(name, traceId, attributes, 'server')
    },
    sample(name, attributes, kind = 'internal') {
      const traceId = draw()
      return traceId === null ? null : rooted(name, traceId, attributes, kind)
    },
    join(name, spans, attributes) {
      nextTraceId = hexId(32)
      return begin(name, { context: api.ROOT_CONTEXT, attributes, kind: 'internal', links: spans })
    },
    async stop() {
      const ended = new AbortController()
      await Promise.race([provider.shutdown().catch(() => {}), clock.sleep(limits.traceDrainMsMax, ended.signal)])
      ended.abort()
    },
  }
}

type Api = typeof import('@opentelemetry/api')
type Beginning = { context: Context; attributes: SpanAttributes; kind: SpanKind; links?: readonly Span[] }

/** Spans of the SDK behind ours. */
function beginner({ trace, SpanKind, SpanStatusCode, TraceFlags }: Api, tracer: Tracer) {
  const kinds = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT }
  const linkTo = ({ traceId, spanId }: Span) => ({ context: { traceId, spanId, traceFlags: TraceFlags.SAMPLED } })

  function begin(name: string, { context, attributes, kind, links = [] }: Beginning): Span {
    const made = tracer.startSpan(name, { kind: kinds[kind], attributes, links: links.map(linkTo) }, context)
    const { traceId, spanId } = made.spanContext()
    return {
      traceId,
      spanId,
      traceparent: traceparentText({ traceId, spanId, isSampled: true }),
      child: (childName, more = {}, childKind = 'internal') =>
        begin(childName, { context: trace.setSpan(context, made), attributes: more, kind: childKind }),
      set: (more) => void made.setAttributes(more),
      end(failure) {
        if (failure !== undefined) made.setAttribute('error.type', failure).setStatus({ code: SpanStatusCode.ERROR })
        made.end()
      },
    }
  }
  return begin
}

/**
 * What waits to be sent, counted: spans beyond `traceSpansQueuedMax` are dropped here, where it is told, and so are those of an
 * export that failed. A collector that is gone is told once, and once when it is back.
 */
function bounded(
  { metrics, log }: TracingOptions,
  exporter: SpanExporter,
  batching: (exporter: SpanExporter) => SpanProcessor,
): SpanProcessor {
  const exported = metrics.counter('holdfast_trace_spans_exported_total', 'Spans that the collector has taken')
  const dropped = metrics.counter('holdfast_trace_spans_dropped_total', 'Spans that were not exported', ['why'])
  const failed = metrics.counter('holdfast_trace_exports_failed_total', 'Exports that the collector did not take')
  let waiting = 0
  let isFailing = false

  function note(error: Error | undefined, spans: number, isDone: boolean): void {
    waiting -= spans
    if (isDone) exported.inc(spans)
    else {
      failed.inc()
      dropped.inc({ why: 'export_failed' }, spans)
    }
    if (isFailing === !isDone) return
    isFailing = !isDone
    if (isFailing) log.warn({ why: error?.message ?? 'failed' }, 'traces are not taken by their collector')
    else log.info('traces are taken again')
  }

  const processor = batching({
    export: (spans, told) =>
      exporter.export(spans, (result) => {
        note(result.error, spans.length, result.code === 0)
        told(result)
      }),
    shutdown: () => exporter.shutdown(),
  })
  return {
    onStart: (span, context) => processor.onStart(span, context),
    onEnd(span: ReadableSpan) {
      if (waiting >= limits.traceSpansQueuedMax) return dropped.inc({ why: 'queue_full' })
      waiting++
      processor.onEnd(span)
    },
    forceFlush: () => processor.forceFlush(),
    shutdown: () => processor.shutdown(),
  }
}

/** Ends with what `work` comes to, which it answers; what throws at once still throws at once. */
export function within<T>(span: Span, work: () => Promise<T>): Promise<T> {
  let working: Promise<T>
  try {
    working = work()
  } catch (error) {
    span.end(wordOf(error))
    throw error
  }
  return working.then(
    (value) => {
      span.end()
      return value
    },
    (error) => {
      span.end(wordOf(error))
      throw error
    },
  )
}

/** The name of an error's class. */
export const wordOf = (error: unknown): string => (error instanceof Error ? error.name : 'failed')
