-- The newest changes of what is seen, without a look at all that is seen.
create index observations_from on observations(from_t, constituent_k, k);
create index observations_closed on observations(closed_t, constituent_k, k) where closed_t is not null;
-- What Today counts: drafts, and surveys that run.
create index editions_draft on editions(publication_k) where state = 'draft';
create index surveys_running on surveys(k) where ended_at is null;
