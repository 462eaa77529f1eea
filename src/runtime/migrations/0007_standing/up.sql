-- What this database promises, so that a copy of it knows, and whether it may sell: one row.
create table runtime.standing (
  one_row boolean primary key default true check (one_row),
  -- `geo`: nothing was answered that a synchronous standby does not have. A promoted one has lost nothing.
  durability text not null default 'local' check (durability in ('local', 'geo')),
  -- Null: it sells. Else it has gone back to an earlier state, and others may know more of it than it does.
  frozen_since timestamptz,
  frozen_why text check (frozen_why in ('system', 'timeline', 'operator', 'peers', 'claimed_twice')),
  -- The other cells whose totals were compared since.
  compared text[] not null default '{}',
  check ((frozen_since is null) = (frozen_why is null))
);
insert into runtime.standing default values;

alter table runtime.incarnation drop constraint incarnation_reason_check;
alter table runtime.incarnation add constraint incarnation_reason_check
  check (reason in ('created', 'system', 'timeline', 'operator', 'peers'));
