-- What is to be done at each location: an index over confirmed orders with open units, kept by a consumer of the log. What is
-- answered is read from the orders themselves, so that a row that is late shows nothing that is not so.
create schema fulfilment;

create table fulfilment.work (
  shop_id integer not null,
  location text collate "C" not null,
  status text collate "C" not null check (status in ('to_pick', 'picking', 'packed')),
  order_id uuid not null,
  primary key (shop_id, location, status, order_id)
);
create index work_order on fulfilment.work (shop_id, order_id);
