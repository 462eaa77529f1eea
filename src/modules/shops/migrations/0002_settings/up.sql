-- A shop's settings, each version whole and for ever; the newest counts. Without a row the defaults count, as version 0.
create table shops.settings (
  shop_id integer not null references shops.shops (id),
  version integer not null check (version > 0),
  settings json not null,
  changed_at timestamptz not null default clock_timestamp(),
  -- the key that changed them; null for the command line and the development keys
  key_id uuid,
  primary key (shop_id, version)
);
