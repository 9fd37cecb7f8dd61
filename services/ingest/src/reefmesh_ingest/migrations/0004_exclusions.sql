-- Periods in which values of a buoy do not count: from from_us on, before until_us; quantity NULL: all. ended_us: since when it
-- counts again (NULL: it does not).
CREATE TABLE exclusions (
  exclusion_id TEXT NOT NULL PRIMARY KEY,
  buoy_id TEXT NOT NULL,
  reef_id TEXT NOT NULL,
  from_us BIGINT NOT NULL,
  until_us BIGINT NOT NULL,
  quantity TEXT,
  reason TEXT NOT NULL,
  made_us BIGINT NOT NULL,
  ended_us BIGINT
);
CREATE INDEX exclusions_by_buoy ON exclusions (buoy_id, ended_us);

-- What became of every message by which an operator excludes or includes; it is no telemetry and has no receipt. outcome is
-- working, done or refused. A period is gone through in parts, which add to the counts.
CREATE TABLE exclusion_requests (
  request_id TEXT NOT NULL PRIMARY KEY,
  exclusion_id TEXT NOT NULL,
  action TEXT NOT NULL,
  outcome TEXT NOT NULL,
  detail TEXT,
  readings_looked_at BIGINT NOT NULL,
  readings_changed BIGINT NOT NULL,
  neighbours_changed BIGINT NOT NULL
);

-- What body_json does not say of the excluded values of a reading: quantity -> the reason, and the device's own fault.
ALTER TABLE readings ADD COLUMN excluded_json TEXT;
