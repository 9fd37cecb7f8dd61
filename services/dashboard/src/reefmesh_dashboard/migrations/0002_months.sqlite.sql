-- The months of UTC for which readings and hours are held: whoever writes the first reading of a month notes the month before.
CREATE TABLE months (
  month TEXT NOT NULL PRIMARY KEY,
  from_us BIGINT NOT NULL,
  before_us BIGINT NOT NULL
);

-- Every reading in its newest revision: {quantity: [value, raw, flag, tests, and factor and fault where they say something]}.
-- withdrawn is 1 for one that counts nowhere.
CREATE TABLE readings (
  reef_id TEXT NOT NULL,
  observed_us BIGINT NOT NULL,
  buoy_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  withdrawn BIGINT NOT NULL,
  received_us BIGINT NOT NULL,
  time_source TEXT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (reef_id, observed_us, buoy_id)
);

-- Each buoy's values of each hour: {quantity: [scored values, their sum in 1e-6 of the unit, lowest, highest, left out]}.
CREATE TABLE hours (
  reef_id TEXT NOT NULL,
  hour_us BIGINT NOT NULL,
  buoy_id TEXT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (reef_id, hour_us, buoy_id)
);
