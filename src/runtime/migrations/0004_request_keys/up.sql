-- Idempotency keys of requests that no engine decides (those of operators), with what was answered.
create table runtime.request_keys (
  shop_id integer not null,
  hash text collate "C" not null,
  -- Of method, path and body: another request may not use the key.
  request text collate "C" not null,
  answer text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (shop_id, hash)
);
create index request_keys_at on runtime.request_keys (at);
