-- The ledger of money. An entry is one balanced double entry, made of the event `seq` of the log; `line` tells the entries
-- of one event apart. Entries are only ever added: a trigger refuses everything else, to everyone. (A later retention
-- detaches partitions, which is no delete.) A superuser can switch triggers off, and the audit then finds what he did.
create schema ledger;

create table ledger.entries (
  shop_id integer not null,
  seq bigint not null,
  line smallint not null check (line > 0),
  at timestamptz not null,
  kind text collate "C" not null,
  order_id uuid not null,
  payment_id uuid,
  debit text collate "C" not null,
  credit text collate "C" not null check (credit <> debit),
  currency text collate "C" not null check (length(currency) = 3),
  amount bigint not null check (amount > 0),
  primary key (shop_id, seq, line)
);
create index entries_order on ledger.entries (shop_id, order_id);

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'entries of the ledger are never changed: book another one' using errcode = 'HF002';
end $$;
create trigger entries_append_only before update or delete or truncate on ledger.entries
  for each statement execute function ledger.refuse_change();

-- What each account has come to: derived, written with the entries, and compared with their sums by the audit.
create table ledger.balances (
  shop_id integer not null,
  account text collate "C" not null,
  currency text collate "C" not null,
  debit bigint not null check (debit >= 0),
  credit bigint not null check (credit >= 0),
  balance bigint not null generated always as (debit - credit) stored,
  primary key (shop_id, account, currency)
) with (fillfactor = 50);

-- The audit's own sums over the entries up to `closed_seq`, by account, and of each order whose receivable is not 0.
create table ledger.closed (
  shop_id integer not null,
  account text collate "C" not null,
  currency text collate "C" not null,
  debit bigint not null,
  credit bigint not null,
  primary key (shop_id, account, currency)
);
create table ledger.closed_orders (
  shop_id integer not null,
  order_id uuid not null,
  currency text collate "C" not null,
  receivable bigint not null,
  primary key (shop_id, order_id, currency)
);
create index closed_orders_even on ledger.closed_orders (shop_id) where receivable = 0;
create table ledger.closed_position (
  one_row boolean primary key default true check (one_row),
  closed_seq bigint not null
);
insert into ledger.closed_position (closed_seq) values (0);

-- Entries that were not what the log makes of them when they were closed; each audit looks at them again.
create table ledger.faults (
  shop_id integer not null,
  seq bigint not null,
  primary key (shop_id, seq)
);

-- What was booked by hand, under the caller's key; the entry itself is made of the event that was appended with it.
create table ledger.bookings (
  shop_id integer not null,
  hash uuid not null,
  request uuid not null,
  id uuid not null,
  at timestamptz not null,
  kind text collate "C" not null check (kind in ('fee', 'written_off')),
  order_id uuid not null,
  owed_by text collate "C" check (owed_by in ('buyer', 'shop')),
  currency text collate "C" not null,
  amount bigint not null check (amount > 0),
  reason text not null,
  primary key (shop_id, hash),
  check ((kind = 'written_off') = (owed_by is not null))
);
create index bookings_order on ledger.bookings (shop_id, order_id);
