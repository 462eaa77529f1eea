-- Endpoints that are told of events, and each delivery with its attempts. An event makes one delivery for each endpoint that wants it.
create schema webhooks;

create table webhooks.endpoints (
  shop_id integer not null,
  id uuid not null,
  url text not null,
  types text[] not null check (cardinality(types) > 0),
  enabled boolean not null default true,
  -- Why it is not enabled: `asked` by its owner, `gone` (it answered 410), `failing` (nothing but failure for days).
  disabled_reason text check (disabled_reason in ('asked', 'gone', 'failing')),
  secret text not null,
  -- Signs along until then, so that receivers may change over in their own time.
  old_secret text,
  old_secret_until timestamptz,
  -- Since when every attempt has failed; null after a success.
  failing_since timestamptz,
  -- The keys of the requests that made it and that last changed its secret, so that their retries change nothing.
  created_key text collate "C" not null,
  created_request text collate "C" not null,
  rotated_key text collate "C",
  -- Milliseconds, as events have them: it is told of what has happened since it was made or enabled again.
  told_since timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
  created_at timestamptz not null default clock_timestamp(),
  deleted_at timestamptz,
  primary key (shop_id, id),
  unique (shop_id, created_key),
  check (enabled = (disabled_reason is null)),
  check ((old_secret is null) = (old_secret_until is null))
);

create table webhooks.deliveries (
  -- Grows in the order of the log.
  id bigint generated always as identity,
  shop_id integer not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  type text collate "C" not null,
  subject text collate "C" not null,
  -- Where the event stands in the log, which has its body; a test is in no log and has it here.
  event_seq bigint,
  body text,
  -- `ready` to be sent, `waiting` for next_at, or over: `delivered`, or `dead` with its reason.
  state text collate "C" not null default 'ready' check (state in ('ready', 'waiting', 'delivered', 'dead')),
  -- Attempts of all, and those since the delivery was last asked for.
  attempts integer not null default 0 check (attempts >= tries),
  tries integer not null default 0 check (tries >= 0),
  next_at timestamptz,
  reason text,
  redelivered_key text collate "C",
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (endpoint_id, id),
  unique (event_id, endpoint_id),
  check ((event_seq is null) = (body is not null)),
  check ((state = 'waiting') = (next_at is not null)),
  check ((state = 'dead') = (reason is not null))
) with (fillfactor = 80);

create index deliveries_ready on webhooks.deliveries (endpoint_id, id) where state = 'ready';
create index deliveries_waiting on webhooks.deliveries (endpoint_id, next_at) where state = 'waiting';
create index deliveries_dead on webhooks.deliveries (id) where state = 'dead';

create table webhooks.attempts (
  endpoint_id uuid not null,
  delivery_id bigint not null,
  number integer not null check (number > 0),
  at timestamptz not null,
  -- Null when there was no answer; then the error says why.
  status integer,
  ms integer not null,
  answer text not null default '',
  error text,
  primary key (endpoint_id, delivery_id, number),
  check ((status is null) = (error is not null))
);
