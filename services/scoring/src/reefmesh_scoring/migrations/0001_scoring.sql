-- Every reading that was heard, in its newest revision: what a later revision takes out of the sums again, and what all
-- sums are made from when a reef's longitude is corrected. items_json: {name: [value, flag] or [value, flag, fault]}, or
-- NULL of a reading that was withdrawn: it never was, and its row is kept for its revision alone.
CREATE TABLE samples (
  reef_id TEXT NOT NULL,
  buoy_id TEXT NOT NULL,
  observed_us BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  items_json TEXT,
  PRIMARY KEY (reef_id, buoy_id, observed_us)
);

-- What is counted on each solar date (days since 1970-01-01): sums of scored values in 1e-4 of their unit, and how many.
CREATE TABLE day_totals (
  reef_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  night_temperature_e4 BIGINT NOT NULL,
  night_temperature_count BIGINT NOT NULL,
  temperature_e4 BIGINT NOT NULL,
  temperature_count BIGINT NOT NULL,
  ph_e4 BIGINT NOT NULL,
  ph_count BIGINT NOT NULL,
  pco2_e4 BIGINT NOT NULL,
  pco2_count BIGINT NOT NULL,
  salinity_e4 BIGINT NOT NULL,
  salinity_count BIGINT NOT NULL,
  PRIMARY KEY (reef_id, day)
);

-- Heat stress of each solar date from the first on record to the last, without a hole.
CREATE TABLE days (
  reef_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  source TEXT NOT NULL,
  readings BIGINT NOT NULL,
  sst_e4 BIGINT,
  hotspot_e4 BIGINT,
  dhw_e4_days BIGINT,
  dhw_low_e4_days BIGINT,
  dhw_high_e4_days BIGINT,
  level BIGINT,
  level_7day_max BIGINT,
  coverage_days BIGINT NOT NULL,
  status TEXT NOT NULL,
  PRIMARY KEY (reef_id, day)
);
CREATE INDEX days_highest ON days (reef_id, dhw_e4_days DESC, day);

-- The last score that was published of each reef, and how many readings it has seen.
CREATE TABLE scores (
  reef_id TEXT NOT NULL PRIMARY KEY,
  as_of_us BIGINT NOT NULL,
  readings BIGINT NOT NULL,
  revisions BIGINT NOT NULL,
  ignored BIGINT NOT NULL,
  body BYTEA NOT NULL
);
