// Every bound of the client, by name. Those that matter to a caller can be set in createClient.

export const limits = {
  deadlineMs: 30_000, // of one call, its retries included
  attemptMs: 15_000, // of one attempt: a server that says nothing for so long is tried again
  originPauseMs: 10_000, // a cell that could not be reached is asked again after that
  backoffMsFirst: 100,
  backoffMsMax: 5_000,
  bulkBatchLines: 500,
  bulkBatchCharacters: 1024 * 1024,
  bulkInFlight: 2, // batches on their way, so that the server has work while we read answers
  bulkGatherMs: 10, // a source that pauses for so long has its batch sent as it is
  lineCharactersMax: 16 * 1024 * 1024,
  streamSilenceMs: 60_000, // an event stream that sends not even a comment for so long is opened again
  pulseSilenceMs: 3_000, // it comes every second
} as const
