-- Publications with their editions. An edition has the marking of what it
-- contains; who may not read it does not know of it.
create table publications(k {KEY}, id text not null unique, kind text not null, object_k bigint not null, number text not null, version bigint not null, state text not null, author text not null, drafted_at bigint not null, approver text not null, approved_at bigint, reason text not null);
create unique index publications_object on publications(object_k, kind);
create table editions(k {KEY}, publication_k bigint not null, constituent_k bigint not null, version bigint not null, state text not null, level text not null, mark_k bigint not null, drafted_at bigint not null, body text not null);
create unique index editions_once on editions(publication_k, constituent_k, version);
create index editions_constituent on editions(constituent_k);
