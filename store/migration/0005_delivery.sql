-- The outbox: every message that is owed, once. The token of its link is kept as a hash.
create table deliveries(k {KEY}, edition_k bigint not null, contact text not null, role text not null, reason text not null, token {BYTES} not null unique, state text not null, due_at bigint not null, tries bigint not null, error text not null, sent_at bigint, acked_at bigint, note text not null);
create unique index deliveries_once on deliveries(edition_k, contact, reason);
create index deliveries_due on deliveries(state, due_at);
