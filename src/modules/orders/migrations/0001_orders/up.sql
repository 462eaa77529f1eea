-- Orders: the immutable document, the narrow state that changes, and what is personal, each in a table of its own.
-- Partitioned on the UUIDv7 id itself, which is unique and grows in time.
create schema orders;

create table orders.orders (
  shop_id integer not null,
  id uuid not null,
  placed_at timestamptz not null,
  customer text collate "C",
  document json not null,
  primary key (shop_id, id)
) partition by range (id);
create index orders_customer on orders.orders (shop_id, customer, id) where customer is not null;

-- `row_ids` are the stock rows of an unpaid order, so that a batch finds the due orders of its own SKUs.
create table orders.states (
  shop_id integer not null,
  id uuid not null,
  status text not null check (status in ('pending', 'confirmed', 'cancelled')),
  version integer not null,
  expires_at timestamptz,
  updated_at timestamptz not null,
  cancel_reason text check (cancel_reason in ('unpaid', 'buyer', 'merchant', 'fraud', 'duplicate', 'short')),
  cancelled integer[],
  row_ids bigint[] not null,
  primary key (shop_id, id),
  check ((status = 'cancelled') = (cancel_reason is not null)),
  check ((status = 'pending') = (expires_at is not null))
) partition by range (id);
create index states_due on orders.states (expires_at) where status = 'pending';
create index states_cancelled on orders.states (shop_id, id) where status = 'cancelled';

-- Unique per shop, which the partitioned table could not promise.
create table orders.order_references (
  shop_id integer not null,
  reference text collate "C" not null,
  order_id uuid not null,
  primary key (shop_id, reference)
);

create table orders.personal (
  shop_id integer not null,
  order_id uuid not null,
  email text,
  address json,
  note text,
  primary key (shop_id, order_id)
);
create index personal_email on orders.personal (shop_id, lower(email), order_id) where email is not null;

create table orders.annotations (
  shop_id integer not null,
  order_id uuid not null,
  tags json not null,
  metadata json not null,
  primary key (shop_id, order_id)
);
