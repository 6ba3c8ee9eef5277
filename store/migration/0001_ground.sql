-- The layout of the ground: see docs/decisions/0002-layout.md.
-- Times are microseconds since 1970 UTC. mark_k is a row of markings.
create table meta(name text primary key, value text not null);
create table seqs(name text primary key, next bigint not null);
create table terms(k {KEY}, text text not null unique);
create table markings(k {KEY}, tlp bigint not null, pap bigint not null, originator text not null, audience text not null, unique(tlp, pap, originator, audience));
create table sources(k {KEY}, name text not null unique, body text not null);

-- what came in
create table documents(k {KEY}, hash {BYTES} not null unique, size bigint not null default 0, purged_at bigint);
create table blocks(k {KEY}, records bigint not null, body {BYTES} not null);
create table intakes(k {KEY}, source_k bigint not null, document_k bigint not null, format_k bigint not null, mark_k bigint not null, constituent_k bigint not null, at bigint not null, time bigint not null, address text not null, principal text not null, bound bigint not null, records bigint not null, done bigint not null, looks bigint not null default 0, points bigint not null default 0, purged_at bigint);
create unique index intakes_once on intakes(document_k, source_k, mark_k, constituent_k, format_k);
create index intakes_source on intakes(source_k, time);

-- what sources state; k = intake<<32 | block<<12 | slot in the block
create table objects(k {KEY}, h bigint not null, id text not null, type_k bigint not null, same_k bigint not null);
create index objects_h on objects(h);
create table claims(k {KEY}, object_k bigint not null, source_k bigint not null, mark_k bigint not null, own bigint not null, hash bigint not null, from_t bigint not null, closed_t bigint);
create unique index claims_object on claims(object_k, source_k, mark_k, own, hash, from_t);

-- the merge of the claims with exactly one marking; k = object<<16 | marking
create table heads(k {KEY}, object_k bigint not null, mark_k bigint not null, type_k bigint not null, name text not null, modified bigint not null, fields text not null);
create index heads_type on heads(type_k, modified, k);
create table vals(h bigint not null, object_k bigint not null, mark_k bigint not null, primary key(h, object_k, mark_k)) {WITHOUT_ROWID};
create table edges(src bigint not null, rel bigint not null, dst bigint not null, claim_k bigint not null, mark_k bigint not null, primary key(src, rel, dst, claim_k)) {WITHOUT_ROWID};
create index edges_dst on edges(dst, rel, src);
{TEXTS};
{TEXTS_INDEX};

-- vulnerabilities: what they affect, who says they are exploited, their EPSS
create table names(k {KEY}, scheme text not null, vendor text not null, product text not null, unique(product, vendor, scheme));
create table affected(claim_k bigint not null, n bigint not null, object_k bigint not null, name_k bigint not null, mark_k bigint not null, body text not null, primary key(claim_k, n)) {WITHOUT_ROWID};
create index affected_object on affected(object_k);
create index affected_name on affected(name_k);
create table exploited(object_k bigint not null, claim_k bigint not null, n bigint not null, mark_k bigint not null, since bigint not null, ended bigint, primary key(object_k, claim_k, n)) {WITHOUT_ROWID};
create table aliases(from_k bigint not null, to_k bigint not null, claim_k bigint not null, mark_k bigint not null, state bigint not null, reason text not null, primary key(from_k, to_k, claim_k)) {WITHOUT_ROWID};
create index aliases_claim on aliases(claim_k);
create table epss(cve bigint not null, day bigint not null, score bigint not null, percentile bigint not null, model_k bigint not null, mark_k bigint not null, primary key(cve, mark_k, day)) {WITHOUT_ROWID};
create table epss_now(cve bigint not null, day bigint not null, score bigint not null, percentile bigint not null, model_k bigint not null, mark_k bigint not null, primary key(cve, mark_k)) {WITHOUT_ROWID};

-- who we protect and what they expose
create table constituents(k {KEY}, id text not null unique, body text not null, removed_at bigint);
create table assets(k {KEY}, id text not null unique, kind_k bigint not null, owner_k bigint not null, first_t bigint not null);
create index assets_owner on assets(owner_k, k);
create table asset_users(constituent_k bigint not null, asset_k bigint not null, primary key(constituent_k, asset_k)) {WITHOUT_ROWID};
create index asset_users_asset on asset_users(asset_k);
create table facts(k {KEY}, h bigint not null, body text not null);
create index facts_h on facts(h);
create table fact_names(name_k bigint not null, fact_k bigint not null, primary key(name_k, fact_k)) {WITHOUT_ROWID};
create table observations(k {KEY}, asset_k bigint not null, constituent_k bigint not null, check_k bigint not null, port bigint not null, proto_k bigint not null, place_k bigint not null, fact_k bigint not null, exposed bigint not null, from_t bigint not null, closed_t bigint, mark_k bigint not null, intake_k bigint not null);
create index observations_asset on observations(asset_k, constituent_k);
create index observations_fact on observations(fact_k);
create index observations_intake on observations(intake_k);
create table coverage(k {KEY}, intake_k bigint not null, constituent_k bigint not null, check_k bigint not null, at bigint not null, ports text not null, mark_k bigint not null, assets {BYTES} not null);
create index coverage_check on coverage(constituent_k, check_k, at);

-- what follows: a fact meets a vulnerability once, a finding at each place of the fact
create table pairs(k {KEY}, object_k bigint not null, fact_k bigint not null, mark_k bigint not null, rank bigint not null, body text not null);
create unique index pairs_object on pairs(object_k, fact_k, mark_k);
create index pairs_fact on pairs(fact_k);
create table findings(k {KEY}, object_k bigint not null, constituent_k bigint not null, asset_k bigint not null, port bigint not null, proto_k bigint not null, place_k bigint not null, first_t bigint not null);
create index findings_object on findings(object_k);
create index findings_asset on findings(constituent_k, asset_k);
create table evidence(finding_k bigint not null, observation_k bigint not null, pair_k bigint not null, mark_k bigint not null, rank bigint not null, primary key(finding_k, observation_k, pair_k)) {WITHOUT_ROWID};

-- the line's state, the record, the people
create table todo(id {SERIAL}, stage bigint not null, key bigint not null, urgent bigint not null);
create index todo_stage on todo(stage, urgent desc, id);
create table events(k {KEY}, at bigint not null, principal text not null, token text not null, verb text not null, subject text not null, constituent_k bigint not null, reason text not null, detail text not null);
create index events_principal on events(principal, k);
create table seals(event_k {KEY}, hash {BYTES} not null);
create table counters(id {SERIAL}, constituent_k bigint not null, mark_k bigint not null, kind_k bigint not null, n bigint not null);
create index counters_key on counters(constituent_k, kind_k, mark_k);
create table users(k {KEY}, name text not null unique, roles text not null, constituents text not null, orgs text not null, created_at bigint not null, disabled_at bigint);
create table tokens(k {KEY}, name text not null unique, hash {BYTES} not null unique, user_name text not null, role text not null, constituents text not null, created_at bigint not null, expires_at bigint, revoked_at bigint, used_at bigint);
