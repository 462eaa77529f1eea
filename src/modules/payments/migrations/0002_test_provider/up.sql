-- The test provider's own record: what it has charged, whatever we believe. Nothing of ours refers to it.
create schema test_provider;

create table test_provider.charges (
  shop_id integer not null,
  payment_id uuid not null,
  order_id uuid not null,
  amount bigint not null check (amount >= 0),
  currency text not null,
  capture text not null check (capture in ('now', 'later')),
  captured bigint not null check (captured between 0 and amount),
  refunded bigint not null check (refunded between 0 and captured),
  status text not null check (status in ('requires_action', 'authorized', 'captured', 'refunded', 'voided', 'failed')),
  error text,
  -- A slow one is told of only from then on.
  answers_at timestamptz,
  primary key (shop_id, payment_id)
) with (fillfactor = 80);
create index charges_order on test_provider.charges (shop_id, order_id);

-- What it has answered to captures, voids and refunds, by their keys.
create table test_provider.answers (
  shop_id integer not null,
  key uuid not null,
  answer json not null,
  primary key (shop_id, key)
);

-- How often a flaky method was tried.
create table test_provider.tries (
  shop_id integer not null,
  key uuid not null,
  count integer not null,
  primary key (shop_id, key)
);
