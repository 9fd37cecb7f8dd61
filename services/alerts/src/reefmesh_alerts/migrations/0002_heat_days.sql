-- The last days of each reef's heat stress, for the chart in mails; seq is that of the score that set the day.
CREATE TABLE heat_days (
  reef_id TEXT NOT NULL,
  day TEXT NOT NULL,
  seq BIGINT NOT NULL,
  sst_celsius DOUBLE PRECISION,
  hotspot_celsius DOUBLE PRECISION,
  dhw_celsius_weeks DOUBLE PRECISION,
  level_7day_max BIGINT,
  status TEXT NOT NULL,
  day_status TEXT NOT NULL,
  PRIMARY KEY (reef_id, day)
);
