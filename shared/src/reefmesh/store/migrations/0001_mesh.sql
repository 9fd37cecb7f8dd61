-- The mesh's own tables. Their names start with mesh_, so that a service's tables, in the same database, may be called anything else.

-- One row a reef: the version is the fence that keeps a process which lost the reef from writing it.
CREATE TABLE mesh_reef (
  reef_id TEXT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  cursor_json TEXT NOT NULL,
  state BYTEA NOT NULL
);

-- Which inputs have been applied: the newest of each reef and inbox.
CREATE TABLE mesh_inbox (
  reef_id TEXT NOT NULL,
  inbox TEXT NOT NULL,
  event_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (reef_id, inbox, event_id)
);
CREATE INDEX mesh_inbox_age ON mesh_inbox (reef_id, inbox, version);

-- Messages that are decided but not known to be out, in the order of the reef's versions and of position within a unit.
CREATE TABLE mesh_outbox (
  event_id TEXT NOT NULL PRIMARY KEY,
  cause_event_id TEXT NOT NULL,
  reef_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  position BIGINT NOT NULL,
  channel TEXT NOT NULL,
  headers_json TEXT NOT NULL,
  body BYTEA NOT NULL,
  created_us BIGINT NOT NULL
);
CREATE INDEX mesh_outbox_cause ON mesh_outbox (cause_event_id);
CREATE INDEX mesh_outbox_age ON mesh_outbox (created_us);

-- How often a message was tried before it was applied or parked.
CREATE TABLE mesh_attempt (
  inbox TEXT NOT NULL,
  event_id TEXT NOT NULL,
  tries BIGINT NOT NULL,
  PRIMARY KEY (inbox, event_id)
);
