-- Idempotency keys, one table per generation (four days) in a ring: the oldest is emptied when its turn comes again.
-- A batch holds a shared advisory lock while it looks keys up and writes them; the rotator takes it exclusively.
create table orders.key_generation (
  one_row boolean primary key default true check (one_row),
  generation smallint not null check (generation between 0 and 2),
  started_at timestamptz not null
);
insert into orders.key_generation (generation, started_at) values (0, now());

create table orders.keys_0 (shop_id integer not null, hash uuid not null, request uuid not null, result_id uuid, primary key (shop_id, hash));
create table orders.keys_1 (shop_id integer not null, hash uuid not null, request uuid not null, result_id uuid, primary key (shop_id, hash));
create table orders.keys_2 (shop_id integer not null, hash uuid not null, request uuid not null, result_id uuid, primary key (shop_id, hash));
