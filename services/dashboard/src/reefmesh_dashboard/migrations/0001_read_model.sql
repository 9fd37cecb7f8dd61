-- Every reef that was heard of: the register's facts as they came with its readings, and its newest score. Each half has the
-- number of the message that it is from, because the two come on channels of their own, in no order; 0: that half is unknown.
CREATE TABLE reefs (
  reef_id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  facts_seq BIGINT NOT NULL,
  latitude_degrees DOUBLE PRECISION,
  longitude_degrees DOUBLE PRECISION,
  score_seq BIGINT NOT NULL,
  as_of_us BIGINT,
  score_json TEXT
);
CREATE INDEX reefs_by_name ON reefs (name, reef_id);

-- The heat stress of each solar date of a reef (days since 1970-01-01), with the number of the score that set it.
CREATE TABLE heat_days (
  reef_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (reef_id, day)
);

-- The same of the aragonite saturation of the days that could be judged.
CREATE TABLE carbonate_days (
  reef_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (reef_id, day)
);

-- Each buoy's values of each day of UTC (days since 1970-01-01), summed up as those of its hours are.
CREATE TABLE days (
  reef_id TEXT NOT NULL,
  day BIGINT NOT NULL,
  buoy_id TEXT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (reef_id, day, buoy_id)
);

-- Every alert, as it was published. Rows are never changed.
CREATE TABLE alerts (
  alert_id TEXT NOT NULL PRIMARY KEY,
  reef_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  occurred_us BIGINT NOT NULL,
  body_json TEXT NOT NULL
);
CREATE INDEX alerts_by_reef ON alerts (reef_id, occurred_us, alert_id);
CREATE INDEX alerts_by_time ON alerts (occurred_us, alert_id);
