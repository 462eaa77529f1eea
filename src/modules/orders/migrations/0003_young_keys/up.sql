-- Keys are random, so each would touch another page of a generation's large index. They are written to a small young table
-- instead, one of two, and carried over to the present generation sorted and many at a time. `turns` counts how often the
-- two have changed places: the young table is that of its parity.
alter table orders.key_generation add column turns bigint not null default 0;

create table orders.keys_young_0 (shop_id integer not null, hash uuid not null, request uuid not null, result_id uuid, primary key (shop_id, hash));
create table orders.keys_young_1 (shop_id integer not null, hash uuid not null, request uuid not null, result_id uuid, primary key (shop_id, hash));
