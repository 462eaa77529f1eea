-- Consumers that are steered by hand, and the events that one of them could not apply.

alter table runtime.consumers add column paused boolean not null default false;
-- How many of its events stand aside. While it is 0 nobody looks into the table below.
alter table runtime.consumers add column dead integer not null default 0 check (dead >= 0);

-- An event that was given up after its tries, and those of its subject behind it (tries 0): a copy, since the log drops its
-- oldest part. `retry_asked_at`: a running consumer applies it, and all of its subject, in order.
create table runtime.dead_events (
  id uuid primary key default gen_random_uuid(),
  number bigint generated always as identity,
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
  since timestamptz not null default clock_timestamp(),
  retry_asked_at timestamptz,
  unique (consumer, event_id)
);
create index dead_events_subject on runtime.dead_events (consumer, shop_id, subject, subject_version);
create index dead_events_number on runtime.dead_events (shop_id, number);
create index dead_events_asked on runtime.dead_events (consumer) where retry_asked_at is not null;
