-- A key whose request is under way has no answer yet.
alter table runtime.request_keys alter column answer drop not null;
