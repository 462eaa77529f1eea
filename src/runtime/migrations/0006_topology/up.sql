-- Which cells there are, as this cell knows it: one row, which never goes back to an older version.
create table runtime.topology (
  one_row boolean primary key default true check (one_row),
  version integer not null check (version > 0),
  -- The cell at which this version was made: of two with one number, the greater name counts.
  made_by text collate "C" not null,
  -- Canonical JSON: of two with one number and one name, the greater text counts.
  topology text collate "C" not null,
  changed_at timestamptz not null default clock_timestamp()
);
