-- Deliveries over more than mail: what an edition says without when it was seen,
-- its deadline, reminders with their times, the log of tries, and receivers that
-- said that they are gone.
alter table editions add column deadline_at bigint;
alter table editions add column says text not null default '';
alter table deliveries add column unsure bigint not null default 0;
alter table deliveries add column made_at bigint not null default 0;
alter table deliveries add column until_state text not null default '';
create table reminders(k {KEY}, edition_k bigint not null, reason text not null, percent bigint not null, roles text not null, until_state text not null, due_at bigint, state text not null, note text not null);
create unique index reminders_once on reminders(edition_k, reason);
create index reminders_due on reminders(state, due_at);
create table delivery_tries(delivery_k bigint not null, n bigint not null, at bigint not null, answer text not null, primary key(delivery_k, n)) {WITHOUT_ROWID};
create table hooks(k {KEY}, name text not null unique, url text not null, gone_at bigint);
