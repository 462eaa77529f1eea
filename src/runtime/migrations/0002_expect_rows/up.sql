-- Fails the transaction when a statement touched another number of rows than its sender expected, so that a COMMIT that
-- was pipelined behind it cannot commit.
create function runtime.expect_rows(actual bigint, expected bigint) returns void language plpgsql as $$
begin
  if actual <> expected then
    raise exception 'touched % rows instead of %', actual, expected using errcode = 'HF001';
  end if;
end $$;
