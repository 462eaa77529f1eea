-- Other cells that have said that nothing of them is left: they are sent no units any more, so that what they have received is all
-- that they ever will. One that is active again is taken out.
create table stock.leaving (peer text primary key);
