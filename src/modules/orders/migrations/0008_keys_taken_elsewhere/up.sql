-- A key that names this cell may have been taken by another one, as while this one drained: `result_id` is then that cell's.
-- None has been so far, and the tables may be large: nothing there is read.
-- As who moves them: no batch looks keys up meanwhile, so that nobody waits for a table in another order.
select pg_advisory_xact_lock(4207001);
alter table orders.keys_0
  add column taken_by text,
  add constraint keys_0_taken_by_check check (taken_by ~ '^[a-z][a-z0-9]{1,15}$') not valid;
alter table orders.keys_1
  add column taken_by text,
  add constraint keys_1_taken_by_check check (taken_by ~ '^[a-z][a-z0-9]{1,15}$') not valid;
alter table orders.keys_2
  add column taken_by text,
  add constraint keys_2_taken_by_check check (taken_by ~ '^[a-z][a-z0-9]{1,15}$') not valid;
alter table orders.keys_young_0
  add column taken_by text,
  add constraint keys_young_0_taken_by_check check (taken_by ~ '^[a-z][a-z0-9]{1,15}$') not valid;
alter table orders.keys_young_1
  add column taken_by text,
  add constraint keys_young_1_taken_by_check check (taken_by ~ '^[a-z][a-z0-9]{1,15}$') not valid;
