-- Every cell has shops, keys and settings. Each row says which writing of it this is, and by which cell: the greater version
-- wins, then the greater name. '' is what stood before cells told their names.
alter table shops.shops
  add column version integer not null default 1 check (version > 0),
  add column written_by text collate "C" not null default '',
  add constraint shops_id_check check (id > 0); -- 0 is the shop of internal events, which no key may read
alter table shops.keys
  add column version integer not null default 1 check (version > 0),
  add column written_by text collate "C" not null default '',
  drop constraint keys_shop_id_fkey; -- a key may arrive before its shop, from another cell's log; it opens nothing until then
alter table shops.settings
  add column written_by text collate "C" not null default '',
  drop constraint settings_shop_id_fkey;
