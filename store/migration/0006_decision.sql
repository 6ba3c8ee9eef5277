-- What people decided about weaknesses: intervals with a predicate.
create table decisions(k {KEY}, id text not null unique, kind text not null, object_k bigint not null, constituent_k bigint not null, asset text not null, from_t bigint not null, until_t bigint, reason text not null, principal text not null, approver text not null, approved_at bigint, ended_at bigint);
create index decisions_object on decisions(object_k, constituent_k);
