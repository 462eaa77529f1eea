-- Consumers that are steered by hand, and the events that one of them could not apply.

alter table runtime.consumers add column paused boolean not null default false;
-- How many of its events stand aside. While it is 0 nobody looks into the table below.
alter table runtime.consumers add column dead integer not null default 0 check (dead >= 0);

-- An event that was given up after its tries, and those of its subject behind it (tries 0): a copy, since the log drops its
-- oldest part. `retry_asked_at`: a running consumer applies it, and all of its subject, in order. A row that was dropped by
-- hand stays, with who said why, as long as the events of its time.
create table runtime.dead_events (
  id uuid primary key default gen_random_uuid(),
  consumer text collate "C" not null,
  seq bigint not null,
  shop_id integer not null,
  event_id uuid not null,
  subject text collate "C" not null,
  subject_version integer not null check (subject_version > 0),
  type text collate "C" not null,
  at timestamptz not null,
  data json not null,
  reason text not null,
  tries integer not null check (tries >= 0),
  since timestamptz not null default date_trunc('milliseconds', clock_timestamp()), -- what a cursor can hold
  retry_asked_at timestamptz,
  dropped_at timestamptz,
  drop_reason text,
  check ((dropped_at is null) = (drop_reason is null)),
  unique (consumer, event_id)
);
create index dead_events_subject on runtime.dead_events (consumer, shop_id, subject, subject_version) where dropped_at is null;
create index dead_events_since on runtime.dead_events (shop_id, since, id) where dropped_at is null;
create index dead_events_asked on runtime.dead_events (consumer) where retry_asked_at is not null;
create index dead_events_dropped on runtime.dead_events (dropped_at) where dropped_at is not null;
