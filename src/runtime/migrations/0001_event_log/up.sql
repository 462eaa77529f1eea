-- The event log, its readers' positions, and who this database is.

-- Cache 1: a number is drawn when it is needed, in the order of the inserts of a session. Owned by nobody, so that
-- dropping a partition never drops it.
create sequence runtime.event_seq as bigint cache 1 no cycle;

create table runtime.events (
  seq bigint not null default nextval('runtime.event_seq'),
  shop_id integer not null,
  event_id uuid not null,
  subject text collate "C" not null,
  subject_version integer not null check (subject_version > 0),
  type text collate "C" not null,
  at timestamptz not null,
  data json not null,
  -- Movements of units, flat groups of five: stock row id, and the changes of on_hand, reserved, committed, shipped.
  moves bigint[] not null default '{}' check (cardinality(moves) % 5 = 0),
  primary key (seq)
) partition by range (seq);

-- The history of one subject. Not unique: the version is kept contiguous by the row lock of the subject.
create index events_subject on runtime.events (subject, subject_version);

-- A consumer's place in the log; seq counts within the incarnation.
create table runtime.consumers (
  name text collate "C" primary key,
  incarnation uuid not null,
  seq bigint not null check (seq >= 0),
  updated_at timestamptz not null default clock_timestamp()
);

-- What a consumer has applied: the events, and the last version of each subject. Kept as long as the events are, so that
-- a consumer may rewind over all of them.
create table runtime.inbox (
  consumer text collate "C" not null,
  event_id uuid not null,
  received_at timestamptz not null default clock_timestamp(),
  primary key (consumer, event_id)
);
create index inbox_received_at on runtime.inbox (received_at);

-- A subject is `<shop id> <subject>`: shops may sell the same SKU.
create table runtime.inbox_subjects (
  consumer text collate "C" not null,
  subject text collate "C" not null,
  version integer not null check (version > 0),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (consumer, subject)
) with (fillfactor = 80);

-- Each life of this database, the newest last. A copy, a restore or a promotion begins a new one.
create table runtime.incarnation (
  number integer generated always as identity primary key,
  incarnation uuid not null unique default gen_random_uuid(),
  system_identifier text not null,
  timeline integer not null,
  -- The last seq that the life before had given out.
  began_after_seq bigint not null,
  began_at timestamptz not null default clock_timestamp(),
  reason text not null check (reason in ('created', 'system', 'timeline', 'operator'))
);
