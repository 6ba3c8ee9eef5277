-- The list of cases: what a case comes to, computed once from all of its
-- evidence and all that is said of its weakness, for who sees every marking of
-- that (set_k); for everybody else it is computed from what he sees. 0 is a set
-- that nobody sees; due_t without a deadline is behind every deadline.
create table mark_sets(k {KEY}, marks text not null unique);
alter table cases add column set_k bigint not null default 0;
alter table cases add column due_t bigint not null default 9000000000000000000;
alter table cases add column start_t bigint not null default 0;
alter table cases add column ruling_k bigint not null default 0;
alter table cases add column presence bigint not null default 0;
alter table cases add column rank bigint not null default 0;
alter table cases add column places bigint not null default 0;
create index cases_due on cases(due_t, k);
create index cases_set on cases(set_k);
drop index findings_object;
create index findings_object on findings(object_k, constituent_k);
-- What people changed of cases, before and after, for undo. An event tells that
-- something was changed; what was written there stays here, behind the walls.
create table case_changes(event_k bigint not null, case_k bigint not null, was text not null, now_is text not null, primary key(event_k, case_k)) {WITHOUT_ROWID};
-- Only what stands opens cases: a disputed assertion does not. Stores from
-- before know no other; a rebuild says it again.
alter table exploited add column status text not null default 'confirmed';
insert into todo(stage, key, urgent) select 7, constituent_k * 1099511627776 + object_k, 0 from cases;
-- The ids under which cases were known before their weakness got its CVE.
create table case_ids(id text primary key, case_k bigint not null);
create index case_ids_case on case_ids(case_k);
