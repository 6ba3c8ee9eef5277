-- Sources that are fetched: what is configured, and how each fares. One row of
-- fetches for each feed that was tried: a fetch that brought nothing new writes
-- only that.
create table feeds(name text primary key not null, body text not null, enabled bigint not null);
create table fetches(name text primary key not null, next_at bigint not null, tried_at bigint not null, succeeded_at bigint not null, changed_at bigint not null, whole_at bigint not null, failed_at bigint not null, failure text not null, failures bigint not null, bytes bigint not null, records bigint not null, refused bigint not null, document text not null, etag text not null, modified text not null);
