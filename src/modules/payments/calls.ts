// The calls to one provider, kept from harming anyone else: so many at once, each for so long, and none while most of them fail.
// What comes back is a word, never an exception; only a provider's own word that it did nothing is taken for that.
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  type CircuitBreakerPolicy,
  CircuitState,
  circuitBreaker,
  handleAll,
  SamplingBreaker,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel'
import { limits } from '../../base/limits.ts'
import { type Metrics, secondsBuckets } from '../../runtime/metrics.ts'
import type { Span, SpanAttributes, Tracing } from '../../runtime/tracing.ts'
import type { Heard, TrackedOperation } from './decide.ts'
import { type Provider, TryAgain } from './types.ts'

/** What came of a call; `error` says why there is no answer. */
export type CallResult = { heard: Heard; error: string | null }

export type Calls = {
  readonly provider: Provider
  /** How many more may be begun now. */
  room(): number
  isHalfFree(): boolean
  /**
   * Resolves to `late` when its turn comes after `isLate` has become true: nothing was called then.
   * `asker`: of the request that asked for it, where that is sampled.
   */
  call(
    operation: TrackedOperation,
    step: 'send' | 'look_up',
    isLate: () => boolean,
    asker?: Span | null,
  ): Promise<CallResult | 'late'>
  /** What is under way ends as unknown. */
  abort(): void
}

export function createCalls(
  provider: Provider,
  elapsedMs: () => number,
  observe: CallObserver,
  tracing: Tracing | null = null,
): Calls {
  const callsMax = provider.callsMax ?? limits.providerCallsMax
  const breaker = breakerOf()
  // Aborting after every return would make an exception each time, which costs as much as the rest of a call.
  const budget = timeout(limits.providerCallMsMax, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false })
  const policy = wrap(breaker, budget)
  const stopped = new AbortController()
  const slots = bulkhead(callsMax, callsMax) // who waits in it is counted too
  let closedUntil = 0
  breaker.onBreak(() => {
    closedUntil = elapsedMs() + limits.breakerOpenMs
  })
  breaker.onStateChange((state) => observe.breaker(provider.name, state !== CircuitState.Closed))
  observe.breaker(provider.name, false)

  async function ask(operation: TrackedOperation, step: 'send' | 'look_up', asker: Span | null): Promise<CallResult> {
    const startedAt = elapsedMs()
    const span = spanOf(asker, tracing, { 'holdfast.provider': provider.name, 'holdfast.call': step })
    const over = (outcome: string): void => {
      observe.call({ provider: provider.name, step, outcome, ms: elapsedMs() - startedAt })
      span?.set({ 'holdfast.outcome': outcome })
      span?.end(outcome === 'unknown' || outcome === 'not_called' ? outcome : undefined)
    }
    observe.underWay(provider.name, 1)
    try {
      const heard = await policy.execute<Heard>(
        ({ signal }) => (step === 'send' ? provider.perform(operation, signal) : provider.lookUp(operation, signal)),
        stopped.signal,
      )
      over(wordOf(heard))
      return { heard, error: null }
    } catch (error) {
      // Only of what was sent does it say that nothing was done.
      const heard = error instanceof TryAgain && step === 'send' ? 'try_again' : 'unknown'
      const outcome = error instanceof BrokenCircuitError ? 'not_called' : heard
      over(outcome)
      return { heard, error: reasonOf(error) }
    } finally {
      observe.underWay(provider.name, -1)
    }
  }

  return {
    provider,
    room() {
      if (stopped.signal.aborted || elapsedMs() < closedUntil) return 0
      if (breaker.state === CircuitState.Closed) return slots.executionSlots
      return slots.executionSlots === callsMax ? 1 : 0 // a single one tries whether it works again
    },
    isHalfFree: () => slots.executionSlots >= callsMax / 2,
    call: (operation, step, isLate, asker = null) =>
      slots
        .execute<CallResult | 'late'>(() => (isLate() || stopped.signal.aborted ? 'late' : ask(operation, step, asker)))
        .catch((error) => {
          if (error instanceof BulkheadRejectedError) return 'late'
          throw error
        }),
    abort: () => stopped.abort(),
  }
}

/** Opens when most of many calls fail, so that a handful of slow ones closes no provider. */
function breakerOf(): CircuitBreakerPolicy {
  return circuitBreaker(handleAll, {
    halfOpenAfter: limits.breakerOpenMs,
    breaker: new SamplingBreaker({
      threshold: 0.5,
      duration: limits.breakerWindowMs,
      minimumRps: limits.breakerCallsPerSecondMin,
    }),
  })
}

/** In the trace of whoever asked for the call; what nobody waits for is sampled by itself. */
const spanOf = (asker: Span | null, tracing: Tracing | null, attributes: SpanAttributes): Span | null =>
  asker
    ? asker.child('call a provider', attributes, 'client')
    : (tracing?.sample('call a provider', attributes, 'client') ?? null)

const wordOf = (heard: Heard): string => (typeof heard === 'string' ? heard : heard.says)

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, limits.textCharactersMax)

export type CallObserver = {
  call(call: { provider: string; step: string; outcome: string; ms: number }): void
  breaker(provider: string, isOpen: boolean): void
  /** One more, or one less. */
  underWay(provider: string, by: 1 | -1): void
}

export function observeCalls(metrics: Metrics): CallObserver {
  const calls = metrics.counter('holdfast_payment_calls_total', 'Calls to payment providers, by what came of them', [
    'provider',
    'call',
    'outcome',
  ])
  const help = 'Time of a call to a payment provider'
  const underWay = metrics.gauge('holdfast_payment_calls_in_flight', 'Calls to a payment provider under way', [
    'provider',
  ])
  const seconds = metrics.histogram('holdfast_payment_call_seconds', help, secondsBuckets, ['provider'])
  const breakers = metrics.gauge('holdfast_payment_breaker_open', '1 while a payment provider is not called', [
    'provider',
  ])
  return {
    call({ provider, step, outcome, ms }) {
      calls.inc({ provider, call: step, outcome })
      seconds.observe({ provider }, ms / 1000)
    },
    underWay: (provider, by) => underWay.inc({ provider }, by),
    breaker: (provider, isOpen) => breakers.set({ provider }, isOpen ? 1 : 0),
  }
}
