-- What was dropped by hand, with who said why. Added, never changed.
create schema deadletters;

create table deadletters.dropped (
  number bigint generated always as identity primary key,
  shop_id integer not null,
  id text collate "C" not null,
  letter json not null,
  reason text not null,
  dropped_at timestamptz not null default clock_timestamp(),
  -- the key that dropped it; null for the command line and the development keys
  key_id uuid
);
create index dropped_shop on deadletters.dropped (shop_id, number);
