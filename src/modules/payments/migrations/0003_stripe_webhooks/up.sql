-- Events of Stripe that have been taken in: each once, however often it is sent.
create table payments.stripe_events (
  id text collate "C" primary key check (length(id) between 1 and 255),
  type text not null,
  received_at timestamptz not null
);
create index stripe_events_received on payments.stripe_events (received_at);
