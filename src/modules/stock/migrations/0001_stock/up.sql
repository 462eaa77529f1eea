-- Stock rows count units; holds reserve them. Row counters change often, so pages keep room for HOT updates.
create schema stock;

create table stock.locations (
  shop_id integer not null,
  code text collate "C" not null check (length(code) between 1 and 64),
  name text not null,
  cell text collate "C" not null,
  priority integer not null default 0,
  address json,
  country text generated always as (address ->> 'country') stored,
  lat double precision check (lat between -90 and 90),
  lon double precision check (lon between -180 and 180),
  version integer not null default 1,
  primary key (shop_id, code)
);

-- `rows_id_key` is the order in which rows are locked, always.
create table stock.rows (
  shop_id integer not null,
  sku text collate "C" not null check (length(sku) between 1 and 128),
  location text collate "C" not null,
  id bigint generated always as identity,
  tracking text not null default 'counted' check (tracking in ('counted', 'none')),
  on_hand bigint not null default 0 check (on_hand >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  committed bigint not null default 0 check (committed >= 0),
  shipped bigint not null default 0 check (shipped >= 0),
  allowance bigint not null default 0 check (allowance >= 0),
  version integer not null default 0,
  counted_at timestamptz,
  primary key (shop_id, sku, location),
  constraint rows_id_key unique (id),
  foreign key (shop_id, location) references stock.locations (shop_id, code)
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

create table stock.policies (
  shop_id integer not null,
  sku text collate "C" not null,
  tracking text not null check (tracking in ('counted', 'none')),
  allowance bigint not null check (allowance >= 0),
  regions text[],
  sku_group text collate "C",
  version integer not null,
  primary key (shop_id, sku)
);

-- `row_ids` are the stock rows that the hold's units lie in, so that a batch finds the due holds of its own SKUs.
create table stock.holds (
  shop_id integer not null,
  id uuid not null,
  status text not null check (status in ('active', 'consumed', 'released', 'expired')),
  version integer not null,
  expires_at timestamptz not null,
  row_ids bigint[] not null,
  lines json not null,
  primary key (shop_id, id)
) partition by range (id);
create index holds_due on stock.holds (expires_at) where status = 'active';

-- Balances closed over the log up to `closed_seq`: what each row's counters must be, before the events that follow.
create table stock.balances (
  row_id bigint primary key,
  on_hand bigint not null,
  reserved bigint not null,
  committed bigint not null,
  shipped bigint not null,
  received bigint not null,
  returned bigint not null,
  corrected bigint not null
);
create table stock.balance_position (
  one_row boolean primary key default true check (one_row),
  closed_seq bigint not null
);
insert into stock.balance_position (closed_seq) values (0);
