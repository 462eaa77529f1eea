// Every bound of the system, by name: queues, batches, times, sizes. Units come last in the name.

export const limits = {
  // What a caller may ask for (API.md)
  skuCharactersMax: 128,
  quantityMax: 1_000_000,
  unitsMax: 1_000_000_000_000,
  orderLinesMax: 2_000,
  holdLinesMax: 500,
  adjustmentsMax: 10_000,
  policiesMax: 1_000,
  stockQuerySkusMax: 200,
  listLimitMax: 200,
  listLimitDefault: 50,
  holdTtlSecondsMax: 604_800,
  idempotencyKeyCharactersMax: 255,
  requestKeyDaysKept: 8, // of operators
  requestKeyPollMs: 100,
  requestKeyPollsMax: 50, // then 409: the first is still under way
  requestKeyMsLeft: 60_000, // after that, whoever was at it has died
  requestKeysForgottenMax: 5_000,
  metadataKeysMax: 50,
  metadataCharactersMax: 500,
  tagsMax: 50,
  tagCharactersMax: 100,
  textCharactersMax: 200, // names, address lines and the like
  noteCharactersMax: 2_000,
  referenceCharactersMax: 128,
  emailCharactersMax: 254,
  locationCharactersMax: 64,
  riskAmountsMax: 200, // one a currency
  riskListMax: 1_000,
  riskOrdersPerHourMax: 10_000,
  dropReasonCharactersMax: 500,
  bodyBytesMax: 256 * 1024,
  bodyBytesAdjustmentsMax: 4 * 1024 * 1024,
  bulkLineBytesMax: 256 * 1024,
  bulkInFlightMax: 1_024,

  // Units between cells
  shareFloor: 0.1, // of an equal part, for a cell that sold nothing lately
  askAheadMs: 5_000, // of its sales: as much as a cell that runs low asks for
  refillMsMin: 250, // to get more from another cell, besides the way there and back
  demandUnitsMin: 0.1, // of what was sold, still counted: below that a SKU is not told to be sold lately
  demandMs: 10_000, // what was sold longer ago counts for little
  skusRememberedMax: 200_000, // whose demand is known, per process
  askMsMin: 250,
  askMsMax: 2_000, // an ask that is not answered by then brings nothing
  asksMax: 4, // rounds, while another cell keeps its units for somebody who asked first
  keptPauseMs: 50,
  noneRememberedMs: 200, // nobody had any: who misses meanwhile is refused at once
  peerLevelsMs: 1_000, // what another cell said of a SKU is asked for again after that
  levelMsMax: 2, // longer for each of many SKUs
  peerLevelsWaitMs: 300,
  peerLevelsMax: 100_000,
  deliverWaitMs: 500, // an adjustment is answered when the others have their part, or after that
  creditTotalsMax: 20_000,
  keysRememberedAtOnce: 100, // of those that other cells have taken: buyers wait in the same queue
  keysLookedUpMax: 500, // by one statement, of orders that an isolated cell refuses unless it knows them
  keysLeftAtOnce: 100, // likewise, of those that another cell is about to decide
  meetingRoundsMax: 3, // of two orders of one key: two do, unless what a home tells is older than what it knows
  owedEveryMs: 1_000,
  owedPauseMsMax: 60_000,
  owedAtOnceMax: 100,
  handOverEveryMs: 1_000, // between two looks for units that are to go to other cells
  handOverSkusMax: 200, // at once
  transfersPageMax: 1_000, // places whose totals are on one page
  locationsNamedMax: 10, // in one sentence
  owedMax: 10_000, // SKUs that are remembered at a start
  gatherRoundsMax: 5, // of a command that is refused again, since others were faster

  // The engine
  orderPaymentsMax: 100, // attempts, so that nobody's tries make a life that every batch then carries
  orderPartsMax: 1_000, // shipments, returns and asked refunds, each
  orderWaitSecondsMax: 30, // of `Prefer: wait`
  openOrdersSlice: 50_000, // orders that one statement looks at
  orderWatchersMax: 10_000,
  orderPollMs: 1_000, // for orders that another process has settled, should its event be missed
  orderReservationMsDefault: 15 * 60 * 1000,
  authorizationMsDefault: 7 * 24 * 60 * 60 * 1000, // cards as a rule
  captureLeadMsDefault: 24 * 60 * 60 * 1000,
  lanes: 2,
  batchRowsMax: 1_500, // rows touched, not commands: one order of 2,000 lines is a batch of its own
  batchRerunsMax: 5,
  answersPerTurnMax: 32,
  decidingMsMax: 50,
  queueRowsMin: 3_000, // two batches: a queue this short is never full, whatever the rate seems to be
  queueRowsMax: 40_000,
  queueWaitMsMax: 100, // a queue that would take longer than this to drain answers 503 at once
  commandDeadlineMs: 10_000,
  riskMsMax: 100, // an assessor or a count that takes longer is left out, and the order is not
  dueExpiredPerBatchMax: 200,
  waitsForUnitsMax: 2, // of a batch, for what others are freeing
  sweepEveryMs: 250,
  sweepBatchMax: 500,
  sweepBatchesMax: 100,
  partitionMonthsAhead: 2,
  analyzeRowsMin: 1_000_000, // statistics of tables that are read by key only: not worth their CPU on a busy server
  housekeepingEveryMs: 60_000,
  repeatedWarningMs: 5_000,
  shortOrdersNamedMax: 200,
  shortRowsNamedMax: 20, // a count of a whole warehouse names the orders of its first short rows only
  shortOrdersScannedMax: 50_000,

  // The topology
  cellsMax: 64,
  cellNamesMax: 500, // with those that were removed, so that the whole fits into a request
  zonesMax: 64,
  zoneRegionsMax: 64,
  cellUrlCharactersMax: 200,
  topologyPollMs: 1_000, // until the other processes of a cell know
  topologyTrustedMs: 5_000, // a process whose last look is older answers on its word no more before it has looked again
  cellCommandMsMax: 10_000, // for a command about the topology to be answered
  topologyVersionsAheadMax: 10_000, // that a peer has changed it since this cell was last heard
  topologyVersionMax: 999_999_999, // as many digits as an ETag of ours has

  // Payments
  providerKeyMsMax: 23 * 60 * 60 * 1000, // from then on a key is only looked up: providers forget them after 24 h
  providerCallMsMax: 5_000, // no answer for so long: unknown
  providerCallsMax: 64, // at once, to one provider that does not say otherwise
  operationLeaseMs: 20_000, // a process that took an operation up is done with it, or gone
  promptMsMax: 1_000, // from the begin of its batch on, an attempt is its process's own for so long; then it gets a row
  promptRememberedMs: 10_000, // a consumer that is further behind asks the orders
  operationFreshMsMax: 5_000, // an event older than this may have been acted on: ask first
  operationsEveryMs: 250,
  reconcilePageMax: 200,
  reconcileAtOnceMax: 20,
  reconcileEveryMs: 3 * 60 * 1000,
  reconcileQuietMs: 60 * 1000, // what is younger is still on its way
  reconcileSpanMs: 60 * 60 * 1000, // how far the recurring one looks back
  reconcileOrdersMax: 2_000, // and at how many orders
  operationsCountedEveryMs: 10_000,
  operationsPerStatementMax: 500,
  strandedMs: 60 * 60 * 1000, // asked of a provider that no process knows: dead
  testProviderCallsMax: 2_000,
  testProviderRowsMax: 500,
  testProviderSlowMs: 5_000,
  testProviderLaggyMs: 2_000,
  settleTriesMax: 6,
  settlePauseMs: 25, // doubled with each try
  breakerOpenMs: 5_000,
  breakerWindowMs: 10_000,
  breakerCallsPerSecondMin: 5, // fewer say nothing about a provider
  stripeCallsMax: 25, // of about half a second each: half of the 100 a second that Stripe allows a live account
  stripeUnderWayMsMax: 2 * 60 * 1000, // Stripe's own clients give a request up after 80 s
  stripeUnheardMax: 10_000,
  stripeIntentMsMax: 24 * 60 * 60 * 1000, // from a payment's beginning to its intent: providerKeyMsMax, stripeUnderWayMsMax, and some
  stripePagesMax: 500, // of 100 intents each: two hours of a shop that takes seven payments a second
  stripeListedMs: 2 * 60 * 60 * 1000, // older orders are searched for: the list from then on would be long
  stripeChargesGatheredMax: 200,
  stripeEventMsKept: 30 * 24 * 60 * 60 * 1000, // Stripe repeats an event for three days
  stripeEventsForgottenMax: 5_000,
  webhookAgeSecondsMax: 300,
  authorizeMsMax: 10 * 60 * 1000, // a provider that says for so long that it did nothing has failed the buyer
  operationMsMax: 3 * 24 * 60 * 60 * 1000, // then it goes to the dead letters
  operationPauseMsMin: 100,
  operationPauseMsMax: 5 * 60 * 1000,

  // The database, per process
  databaseTransactionsMax: 8, // sessions for cold-path transactions; lanes have their own
  databaseReadersMax: 2, // sessions that reads share, pipelined
  databaseWaitersMax: 1_000, // reads in flight, and likewise transactions waiting for a session
  databaseConnectSecondsMax: 5,
  databaseOthersMsMax: 200, // that a server which answers waits for the others that the URL names
  databaseReplyMsMax: 15_000, // no answer for so long: the session is given up
  databaseStatementMsMax: 10_000,
  databaseLockMsMax: 5_000,
  databaseIdleInTransactionMsMax: 10_000,
  transactionAttemptsMax: 5,
  transactionBackoffMsMax: 200,
  migrationStatementMsMax: 60 * 60 * 1000,
  migrationLockMsMax: 3_000, // DDL that waits longer for a lock would block everyone behind it
  migrationLockAttemptsMax: 20,

  // The gate of a `geo` cell
  gateShutMs: 2_000, // nothing has reached a standby for so long
  gatePollMs: 2, // between two readings while somebody waits
  gateIdleMs: 100, // likewise, while nobody does
  gateRetryMs: 50,
  gateLookMs: 1_000, // while it is shut: between two looks for a server that was promoted

  // A cell that may have gone back to an earlier state
  databaseSilentMsMax: 2_000, // then the other cells are told, which ask this one for nothing
  standingLookMs: 500, // whether it is frozen, which another process may have changed
  compareEveryMs: 1_000, // between two tries to compare totals with the cells that are still to be heard
  totalsPageMax: 500, // places of which two cells compare what went between them
  totalsMsMax: 5_000, // for one page
  reconcileWaitMs: 30_000, // for a frozen cell to have compared totals with the others

  // The event log
  eventPageMax: 500,
  positionCharactersMax: 4_000, // a vector: 49 characters a cell
  eventPartitionSeqs: 5_000_000,
  eventPartitionsAhead: 2,
  eventDaysKept: 35,
  eventScanSeqs: 50_000, // a page reads the log in slices of so many, each a short statement
  eventPageMsMax: 2_000, // a page that found nothing for so long answers empty, moved on as far as it has looked
  partitionLockMsMax: 200,
  logPollMs: 100,
  logPokeMsMin: 20,
  logWritersMsMax: 50, // between two looks at who still writes
  consumerChunkMax: 500,
  paymentsLingerMs: 25, // what is asked of a provider beyond an attempt to pay
  ledgerLingerMs: 100,
  fulfilmentLingerMs: 250,
  consumerBackoffMsMax: 5_000,
  consumerTriesMax: 10, // of one event, which with their pauses take 5 s; then it stands aside
  asideRetryMs: 30_000, // where each event stands for itself, one that stands aside is tried again
  asideRetriedMax: 100, // of a consumer, each time
  consumersMax: 1_000, // told at once
  consumerWatchMs: 500, // between two looks at what was asked of consumers by hand
  deadReasonCharactersMax: 1_000,
  inboxTrimMax: 5_000,
  inboxTrimEveryMs: 60 * 60 * 1000, // it walks over all subjects
  logChunkMax: 2_000,
  streamBacklogMax: 10_000,

  // Data that every cell has
  replicaPageMax: 500, // rows of one answer to a cell that copies them
  replicaSettingsPageMax: 10, // with lists of some hundred KiB each

  // Outgoing webhooks
  webhookEndpointsMax: 50, // of a shop
  webhookTypesMax: 20,
  webhookUrlCharactersMax: 2_000,
  webhookRequestMsMax: 15_000,
  webhookAnswerBytesMax: 4 * 1024,
  webhookInFlightMax: 32, // requests to one endpoint
  webhookKeepAliveMs: 10_000,
  webhookRetryAfterMsMax: 24 * 60 * 60 * 1000,
  webhookFailingMsMax: 5 * 24 * 60 * 60 * 1000, // nothing but failure for so long disables the endpoint
  webhookSecretOverlapMs: 24 * 60 * 60 * 1000,
  webhookPollMs: 200, // between two looks for deliveries that are ready
  webhookWakeMs: 1_000, // until another process than the one that made the first endpoint takes part
  webhookStopMsMax: 5_000, // for requests in flight when the process stops
  webhookChunkMax: 500, // deliveries that are read, or changed, by one statement
  webhookChangesMax: 5_000, // likewise, where nothing is sent
  webhookEndpointsAtOnceMax: 256, // to which one process sends
  webhookDaysKept: 30, // less than eventDaysKept: the body of a delivery is read from the log

  // Timers of jobs
  jobsSessionsMax: 2,
  jobsPollSeconds: 1,
  jobsFollowMs: 1_000, // between two looks at which server is the primary
  jobsChunkMax: 50,
  jobSecondsMax: 60, // then another process takes it

  // Keys: three generations of four days, so that a key is kept 8 to 12 days and looked up in three tables and two young ones
  keyGenerations: 3,
  keyGenerationMs: 4 * 24 * 60 * 60 * 1000,
  homeMovedMsMax: 12 * 24 * 60 * 60 * 1000, // as long as a key is kept, the earlier homes of a location are asked whether they know it
  youngKeysBytesMax: 64 * 1024 * 1024, // about 700,000 keys, whose index fits in memory
  carriedKeysMax: 5_000, // a statement
  carryPauseShare: 3, // of the time that each such statement took: a quarter of a session's time

  // The audit
  auditSliceSeqs: 50_000,
  auditSliceSeqsMin: 100,
  auditEveryMs: 30_000,
  auditDifferencesMax: 100,
  auditOrdersMax: 5_000, // lives that a run compares with the ledger, from where the last one stopped
  auditOrdersSlice: 1_000,
  auditOwingMax: 20_000, // orders that owe or are owed, and that a run looks at
  auditLedgerMsMax: 2_000, // that an audit waits for the ledger to have booked what the log has
  auditLedgerPollMs: 20,

  // The ledger
  ledgerScanMax: 20_000, // entries that a page of one account looks at
  bookingReasonCharactersMax: 200,

  // The embedded PostgreSQL and the processes around it
  postgresStartMsMax: 600_000, // crash recovery of max_wal_size on a slow disk
  postgresStartsMax: 5,
  postgresRetryStartMsMax: 20_000, // remains of a killed server that keep the next from starting
  claimMsMax: 5_000, // for an earlier Holdfast on the same folder to go
  restartPauseMs: 100, // doubled with each death in a row
  restartPauseMsMax: 10_000,
  youngDeathMs: 500, // ready for less than this: likely to die again
  latencyMsMax: 10_000, // that a development start may add
  controlBytesMax: 64 * 1024,
  controlMsMax: 120_000, // a start with recovery, or a stop that drains
  controlPathBytesMax: 103, // of a Unix socket: 107 on Linux, 103 on macOS
  controlClaimMsMax: 2_000, // for who runs on a folder to say so
  cellStopMsMax: 90_000, // drainMsMax and postgresStopMsMax, and some
  postgresStopMsMax: 60_000,
  postgresWatchMs: 100,
  postgresLogBytesMax: 16 * 1024 * 1024,

  // Requests that belong to another cell
  hopsMax: 3, // to a key's owner, to the cell that the key names, to one that takes new orders
  forwardConnectMsMax: 2_000,
  forwardReadMsMax: 5_000, // nothing moved for so long before the answer began
  forwardWriteMsMax: 12_000, // commandDeadlineMs, and some
  forwardStallMsMax: 60_000, // inside an answer; streams have their heartbeat
  forwardsInFlightMax: 2_000, // to one cell
  forwardLinesAtOnceMax: 64, // connections for lines of bulk requests, to one cell
  forwardAnswerBytesMax: 16 * 1024 * 1024, // where it is read whole, as an order of a line is
  keyOwnersSettleMs: 10 * 60 * 1000, // longer than clients try again

  // HTTP
  refusalsAtOncePerTenth: 100, // of a second; what is refused beyond that is held
  refusalHoldMs: 1_000,
  requestMsMax: 30_000, // until the whole request has arrived; bulk streams have their own bounds
  headersMsMax: 10_000,
  keepAliveMs: 65_000, // longer than the usual load balancer's
  headerBytesMax: 16 * 1024,
  pathCharactersMax: 2_048,
  drainMsMax: 10_000,
  readyMsMax: 2_000, // a database that takes longer to answer is told as out of reach
  readsPerStatementMax: 500,
  browsingPauseMs: 1_000, // after the queue was full, browsing waits while checkouts go on
  bulkStallMsMax: 60_000, // neither a byte read nor one written
  eventsOfAllMsMax: 2_000, // that a page of all cells waits for one of them
  eventsOfAllEveryMs: 500, // between two looks of a stream of all cells that found nothing
  streamsMax: 1_000,
  streamHeartbeatMs: 15_000,
  keysRememberedMax: 10_000,
  keyRememberedMs: 5_000, // how long a revoked key may still work
  clockSkewMsMax: 60_000, // a caller's clock may be ahead of ours by so much

  // The pulse, and faults on purpose
  pulseEveryMs: 1_000,
  pulseRateSeconds: 5,
  pulseLatencySeconds: 10,
  pulseMoneySeconds: 60,
  pulseSeriesMax: 1_000, // shops' currencies
  pulseFactsMs: 2_000, // what of it is read from the database is so old at most, while somebody looks
  pulseFactsShare: 20, // of the time that each such reading took is waited before the next
  pulseFactsWaitMs: 500, // for the first of them; without them it tells none
  pulseShopsMax: 100, // of which they are kept
  pulseLoopMs: 20, // between two looks at how late the event loop is
  pulseLoopWindowMs: 10_000,
  faultDelayMsMax: 30_000,
  saleUnitsMax: 100_000,
  saleBuyersMax: 10_000, // at each cell
  saleBuyersAtOnceMax: 64, // likewise
  saleTriesMax: 3,
  salePauseMs: 250, // longer with each try
  saleAnswerMsMax: 10_000,
  pulseUnreadBytesMax: 64 * 1024, // a stream that is read no further is ended

  // Between cells
  peerSkewSecondsMax: 60, // between the clocks of two cells, and for so long a signature is taken
  peerNoncesMax: 200_000, // about 20 MiB; more requests than that in peerSkewSecondsMax make the time shorter
  peerKeysRememberedMax: 1_000,
  peerLivesRememberedMax: 100,
  peerGreetEveryMs: 500,
  peerGreetMsMax: 1_000, // half the world away, a connection and a question take 700
  peerGreetingsMax: 3, // under way at once, so that a peer that is silent is known to be so after two of them: 1.5 s
  peerStartMs: 10_000, // a peer that was never heard is not told to be down any sooner
  isolatedMs: 1_500, // nobody was heard for so long: three greetings of each
  peerFailuresMax: 2, // in a row; then it is down
  peerPatienceMsMin: 200, // who waits for less says nothing of the peer when it is late
  peerMessagePauseMs: 2_000, // after peerFailuresMax late answers to a message in a row it is not asked for so long
  peerConnectMsMax: 2_000,
  peerConnectionsMax: 64,
  peerKeepAliveMs: 60_000, // less than keepAliveMs, so that whoever asks closes first
  peerInFlightMax: 256,
  peerServedMax: 1_024, // of one cell under way here: of four processes as many as each may have
  peerBodyBytesMax: 4 * 1024 * 1024,
  peerLogWaitMsMax: 10_000, // that a question for events waits for some
  peerLogMsMax: 5_000, // that its answer takes besides
  peerLogPageBytesMax: 1024 * 1024,
  peerLogPagesKept: 8, // of each peer, one for each consumer that is about to read it
  peerAnswerBytesMax: 16 * 1024 * 1024,

  // Traces
  traceSpansQueuedMax: 4_096, // a few MiB; beyond that they are dropped, and counted
  traceSpansPerExportMax: 512,
  traceExportEveryMs: 2_000,
  traceExportMsMax: 5_000, // with its retries
  traceDrainMsMax: 2_000, // that the end of a process waits for what is left
  traceRatio: 0.01,
  traceLinksMax: 1_024, // of a batch to its commands

  // Objectives
  objectivesEveryMs: 5_000, // between two looks at consumers and other cells
  unconfirmedEveryMs: 5_000, // between two questions to other cells for what they have received
  deadDeliveriesCountedMax: 10_000, // stand for more
  confirmationMsGood: 5_000, // an attempt to pay has its outcome
  confirmationMsMax: 60_000, // then it is not waited for any longer, and counted as late
  confirmationsWatchedMax: 100_000,
  eventLagSecondsGood: 10,

  // holdfast doctor: beyond which it finds something wrong
  doctorMsMax: 10_000, // that it waits for an answer
  doctorClockMs: 3_000, // the header tells whole seconds, and the way there is not known
  doctorAuditAgeMs: 10 * 60 * 1000,
  doctorReplicaAgeMs: 60_000,
  doctorEventsMin: 100, // fewer say nothing of an objective
  doctorStandbyBytes: 64 * 1024 * 1024,
  doctorStandbySeconds: 10,
  doctorSlotBytes: 1024 * 1024 * 1024,
  queryIsSlowMs: 100,
  queryCharactersMax: 500,
  slowQueriesShown: 20, // running, and costliest
  doctorLockSeconds: 5,
  doctorDeadRows: 100_000,
  doctorConnectionsShare: 0.8,
  doctorDiskShare: 0.1,
} as const
