-- The life of an order beyond its placing: payments, refunds, shipments, returns, as one value that changes with the state.
-- Null for an order that has none of it yet. An order with a payment under way has no expiry: it is suspended.
alter table orders.states add column life json;
alter table orders.states drop constraint states_status_check;
alter table orders.states add constraint states_status_check
  check (status in ('pending', 'in_review', 'confirmed', 'completed', 'cancelled'));
alter table orders.states drop constraint states_check1;
alter table orders.states add constraint states_expiry_check check (status = 'pending' or expires_at is null);

-- Which order a shipment or a return is of; ids are given for ever.
create table orders.parts (
  shop_id integer not null,
  id uuid not null,
  order_id uuid not null,
  primary key (shop_id, id)
);
