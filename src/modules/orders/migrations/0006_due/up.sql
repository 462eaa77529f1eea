-- `expires_at` is when time next has a say in an order: of an unpaid one, when its reservation ends; of one whose money is set
-- aside, when that has to be taken. The index holds those that wait for their time, and no longer those whose payment is under way.
-- Alone in its migration: writes wait while the table is read, reads and locks of rows do not, and nobody waits in a ring for the
-- stronger lock that the next migration takes for a moment.
create index states_time on orders.states (expires_at) where expires_at is not null;
