-- What calls with an Idempotency-Key were answered, for a day; a backup leaves
-- it out. status is 0 while the first call with the key has no answer yet.
create table answers(caller {BYTES} not null, name text not null, request {BYTES} not null, at bigint not null, status bigint not null, kind text not null, place text not null, body {BYTES} not null, primary key(caller, name));
create index answers_at on answers(at);
