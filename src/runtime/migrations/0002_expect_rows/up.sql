-- Fails the transaction when a statement touched another number of rows than its sender expected, so that a COMMIT that
-- was pipelined behind it cannot commit. The check is plain SQL, so that it is inlined; only a failure calls PL/pgSQL.
create function runtime.fail_rows(actual bigint, expected bigint) returns boolean language plpgsql as $$
begin
  raise exception 'touched % rows instead of %', actual, expected using errcode = 'HF001';
end $$;

create function runtime.expect_rows(actual bigint, expected bigint) returns boolean language sql as $$
  select actual = expected or runtime.fail_rows(actual, expected)
$$;
