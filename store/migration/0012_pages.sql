-- The newest changes of what is seen, without a look at all that is seen.
create index observations_from on observations(from_t, constituent_k, k);
create index observations_closed on observations(closed_t, constituent_k, k) where closed_t is not null;
