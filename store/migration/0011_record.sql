-- the record is read by what was done and to what
create index events_verb on events(verb, k);
create index events_subject on events(subject, k);
