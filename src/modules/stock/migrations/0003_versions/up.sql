-- Every cell has locations and policies: of two writings the greater version wins, then the greater name of the cell.
alter table stock.locations add column written_by text collate "C" not null default '';
-- `elsewhere`: how many of the versions were not set here, so that this cell's own log counts its events without gaps.
alter table stock.policies
  add column written_by text collate "C" not null default '',
  add column elsewhere integer not null default 0 check (elsewhere between 0 and version);
