-- Who sells, and the keys they call with. A key is stored as its SHA-256 only.
create schema shops;

create table shops.shops (
  id integer generated always as identity primary key,
  code text collate "C" not null unique check (code ~ '^[a-z][a-z0-9-]{0,62}$'),
  name text not null,
  live boolean not null default false,
  -- signs what must be provable without being stored, such as each order's client_secret
  secret bytea not null check (length(secret) = 32),
  created_at timestamptz not null default now()
);

create table shops.keys (
  shop_id integer not null references shops.shops (id),
  id uuid not null,
  hash bytea not null unique check (length(hash) = 32),
  kind text not null check (kind in ('sk', 'pk')),
  name text not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  primary key (shop_id, id)
);
