-- Which cells have been a location's home lately: one of them may have taken the key of an adjustment that is sent again now.
alter table stock.locations
  add column earlier text[] not null default '{}',
  add column moved_at timestamptz;
