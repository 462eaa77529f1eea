-- What providers have been asked and have not answered for good. A row is committed before the call begins, says that it may
-- have begun, and goes once the order knows the answer; so the table holds what is under way, and the dead letters.
create schema payments;

create table payments.operations (
  shop_id integer not null,
  -- The provider's key.
  id uuid not null,
  order_id uuid not null,
  payment_id uuid not null,
  -- The refund that a refund is for, where the key is not its id: it was tried again by hand.
  refund_id uuid,
  kind text not null check (kind in ('authorize', 'capture', 'void', 'refund')),
  provider text collate "C" not null,
  method text not null,
  capture text not null check (capture in ('now', 'later')),
  amount bigint not null check (amount >= 0),
  currency text not null,
  reference text,
  asked_at timestamptz not null,
  state text not null check (state in ('unsent', 'unknown', 'not_done', 'dead')),
  tries integer not null check (tries >= 0),
  -- When it is to be looked at again. While a process is at it: when that one must have ended.
  due_at timestamptz not null,
  last_error text,
  -- The provider has said that it will never happen under this key.
  refused boolean not null default false,
  dead_at timestamptz,
  primary key (shop_id, id),
  check ((state = 'dead') = (dead_at is not null))
) with (fillfactor = 70);
create index operations_due on payments.operations (provider, due_at) where state <> 'dead';
create index operations_dead on payments.operations (shop_id, dead_at, id) where state = 'dead';
create index operations_order on payments.operations (shop_id, order_id);
