-- The newest changes of what is seen, without a look at all that is seen.
create index observations_from on observations(from_t, constituent_k, k);
create index observations_closed on observations(closed_t, constituent_k, k) where closed_t is not null;
-- What Today counts: drafts, and surveys that run.
create index editions_draft on editions(publication_k) where state = 'draft';
create index surveys_running on surveys(k) where ended_at is null;
-- The newest changes of one constituent: those of all others may stand before them.
create index observations_from_one on observations(constituent_k, from_t, k);
create index observations_closed_one on observations(constituent_k, closed_t, k) where closed_t is not null;
-- The open cases of each constituent are counted along this and nothing else.
create index cases_open on cases(constituent_k, state, ruling_k, due_t, assignee, opened_at, set_k, object_k) where state <> 'closed';
create index cases_check on cases(due_t, k) where to_check = 1 and state <> 'closed';
