-- `expires_at` is when time next has a say in an order: of an unpaid one, when its reservation ends; of one whose money is set
-- aside, when that has to be taken. The index holds those that wait for their time, and no longer those whose payment is under way.
drop index orders.states_due;
create index states_due on orders.states (expires_at) where expires_at is not null;
alter table orders.states drop constraint states_expiry_check;
alter table orders.states add constraint states_expiry_check
  check (status not in ('completed', 'cancelled') or expires_at is null);

-- No statement uses it, and an index whose condition names `status` makes every change of status a new entry in all indexes.
drop index orders.states_cancelled;
