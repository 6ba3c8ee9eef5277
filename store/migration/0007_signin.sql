-- What proves that a person is who he says. Passwords and codes are kept as
-- hashes, the secret of a code generator sealed with a key that is not in here.
-- epoch counts how often all sessions of a user were ended.
alter table users add column epoch bigint not null default 0;
create table passwords(user_k {KEY}, hash text not null, set_at bigint not null);
create table totps(user_k {KEY}, sealed {BYTES} not null, made_at bigint not null, confirmed_at bigint, step bigint not null);
create table recoveries(k {KEY}, user_k bigint not null, hash {BYTES} not null unique, used_at bigint);
create index recoveries_user on recoveries(user_k);
-- What lives for minutes or days; a backup leaves it out. tries counts failures
-- by a hash of the name or of the network they come from.
create table tries(what text primary key, fails bigint not null, last_at bigint not null, until_at bigint not null);
create index tries_last on tries(last_at);
create table links(hash {BYTES} primary key, user_k bigint not null, epoch bigint not null, reset bigint not null, expires_at bigint not null);
create index links_user on links(user_k);
create table sessions(hash {BYTES} primary key, user_name text not null, address text not null, data {BYTES} not null, created_at bigint not null, expires_at bigint not null, ended_at bigint);
create index sessions_user on sessions(user_name);
create index sessions_expires on sessions(expires_at);
-- Passkeys (WebAuthn), and who somebody is at a provider of identities (OpenID Connect).
alter table users add column handle {BYTES};
create table passkeys(id {BYTES} primary key, user_k bigint not null, name text not null, sign_count bigint not null, body text not null, made_at bigint not null, used_at bigint);
create index passkeys_user on passkeys(user_k);
create table subjects(issuer text not null, subject text not null, user_k bigint not null, made_at bigint not null, primary key(issuer, subject));
