-- The span of the request that an event came of, as W3C Trace Context writes it; null where that was not sampled.
alter table runtime.events add column traceparent text;
