-- Units between cells: totals that only grow, per stock row and other cell. A row's share of the allowance may be below zero
-- for a while, and units that a count did not find may still be the right of others.
alter table stock.rows drop constraint rows_allowance_check;
alter table stock.rows add column missing bigint not null default 0 check (missing >= 0);

create table stock.transfers (
  row_id bigint not null,
  peer text collate "C" not null check (peer <> ''),
  sent_units bigint not null check (sent_units >= 0),
  sent_allowance bigint not null check (sent_allowance >= 0),
  received_units bigint not null check (received_units >= 0),
  received_allowance bigint not null check (received_allowance >= 0),
  primary key (row_id, peer)
) with (fillfactor = 70);

alter table stock.balances add column transferred bigint not null default 0;
