-- The operators' register. A removed entry stays as a row, so that running services learn of it by its version.
CREATE TABLE register_version (
  id BIGINT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL
);
INSERT INTO register_version (id, version) VALUES (1, 0);

CREATE TABLE register_reef (
  reef_id TEXT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  removed BIGINT NOT NULL,
  entry_json TEXT NOT NULL
);
CREATE INDEX register_reef_version ON register_reef (version);

CREATE TABLE register_buoy (
  buoy_id TEXT NOT NULL PRIMARY KEY,
  reef_id TEXT NOT NULL,
  version BIGINT NOT NULL,
  removed BIGINT NOT NULL,
  entry_json TEXT NOT NULL
);
CREATE INDEX register_buoy_version ON register_buoy (version);

-- Every reading in its newest revision: body_json is the reading as it was published last. origin is the event id of the
-- telemetry message that first reported it; withdrawn is 1 for one that turned out to be a duplicate of an earlier one.
CREATE TABLE readings (
  buoy_id TEXT NOT NULL,
  observed_us BIGINT NOT NULL,
  reef_id TEXT NOT NULL,
  received_us BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  withdrawn BIGINT NOT NULL,
  origin TEXT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (buoy_id, observed_us)
);
CREATE INDEX readings_by_reef ON readings (reef_id, observed_us);

-- What became of every telemetry message. counted is 1 for exactly one receipt of each origin: the newest, when a message
-- was replayed out of quarantine. readings_received = readings_new + readings_merged + readings_duplicate + readings_quarantined.
CREATE TABLE receipts (
  event_id TEXT NOT NULL PRIMARY KEY,
  origin TEXT NOT NULL,
  counted BIGINT NOT NULL,
  replay_of TEXT,
  reef_id TEXT NOT NULL,
  device TEXT,
  buoy_id TEXT,
  schema_id TEXT NOT NULL,
  received_us BIGINT NOT NULL,
  payload_bytes BIGINT NOT NULL,
  digest TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  readings_received BIGINT NOT NULL,
  readings_new BIGINT NOT NULL,
  readings_merged BIGINT NOT NULL,
  readings_duplicate BIGINT NOT NULL,
  readings_quarantined BIGINT NOT NULL,
  channels_quarantined BIGINT NOT NULL
);
CREATE INDEX receipts_by_origin ON receipts (origin);
CREATE INDEX receipts_by_digest ON receipts (buoy_id, digest, received_us);

-- What could not be understood: whole messages, readings of one, or channels of one. readings counts how many it concerns.
CREATE TABLE quarantine (
  quarantine_id TEXT NOT NULL PRIMARY KEY,
  origin TEXT NOT NULL,
  scope TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  channel TEXT,
  example BYTEA NOT NULL,
  readings BIGINT NOT NULL,
  reef_id TEXT NOT NULL,
  device TEXT,
  schema_id TEXT NOT NULL,
  received_us BIGINT NOT NULL,
  status TEXT NOT NULL
);
CREATE INDEX quarantine_by_origin ON quarantine (origin);
CREATE INDEX quarantine_by_device ON quarantine (device, status);
CREATE INDEX quarantine_by_status ON quarantine (status, received_us);

-- The messages that quarantine entries are about, exactly as they were received.
CREATE TABLE quarantine_message (
  origin TEXT NOT NULL PRIMARY KEY,
  reef_id TEXT NOT NULL,
  schema_id TEXT NOT NULL,
  produced_us BIGINT NOT NULL,
  headers_json TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  payload BYTEA NOT NULL
);
