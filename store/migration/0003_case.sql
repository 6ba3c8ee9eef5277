-- Cases: what people do about a weakness at a constituent. They are never
-- computed again: only their presence is, from the findings.
create table cases(k {KEY}, id text not null unique, object_k bigint not null, constituent_k bigint not null, state text not null, to_check bigint not null, opened_at bigint not null, changed_at bigint not null, closed_at bigint, reopened bigint not null, assignee text not null, note text not null, principal text not null);
create unique index cases_pair on cases(constituent_k, object_k);
create index cases_object on cases(object_k);
