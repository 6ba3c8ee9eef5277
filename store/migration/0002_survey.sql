-- Surveys: what is planned, what probes hand in, what stops them. What a part
-- saw becomes documents and observations like anything else.
create table surveys(k {KEY}, id text not null unique, constituent_k bigint not null, mark_k bigint not null, kind text not null, state text not null, principal text not null, asked_at bigint not null, ended_at bigint, note text not null);
create index surveys_constituent on surveys(constituent_k, k);
create table parts(k {KEY}, survey_k bigint not null, n bigint not null, state text not null, body text not null, begun_at bigint, ended_at bigint, worker text not null, note text not null, looks bigint not null, sent bigint not null);
create unique index parts_survey on parts(survey_k, n);
create index parts_state on parts(state, k);
-- the inbox: probes write here and nowhere else
create table observed(id {SERIAL}, part_k bigint not null, at bigint not null, body {BYTES} not null);
-- a survey asked for before a stop that covers it does not go on; survey_k 0 covers all
create table stops(k {KEY}, survey_k bigint not null, at bigint not null, principal text not null, reason text not null, lifted_at bigint);
create table refusals(survey_k bigint not null, target text not null, rule text not null, why text not null, at bigint not null, n bigint not null, primary key(survey_k, target, rule)) {WITHOUT_ROWID};
create table optouts(what text primary key not null, until_day text not null, reason text not null, principal text not null, at bigint not null);
create table schedules(constituent_k bigint not null, class text not null, every_us bigint not null, hours text not null, next_at bigint not null, principal text not null, primary key(constituent_k, class)) {WITHOUT_ROWID};
-- exploited vulnerabilities whose places were queued to be looked at again
create table confirmed(object_k {KEY}, at bigint not null);
