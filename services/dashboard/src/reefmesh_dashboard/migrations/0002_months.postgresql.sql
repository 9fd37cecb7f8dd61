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
) PARTITION BY RANGE (observed_us);

-- Each buoy's values of each hour: {quantity: [scored values, their sum in 1e-6 of the unit, lowest, highest, left out]}.
CREATE TABLE hours (
  reef_id TEXT NOT NULL,
  hour_us BIGINT NOT NULL,
  buoy_id TEXT NOT NULL,
  body_json TEXT NOT NULL,
  PRIMARY KEY (reef_id, hour_us, buoy_id)
) PARTITION BY RANGE (hour_us);

-- A noted month has its partitions, in the same transaction. They are made beside the parent and attached, which holds up
-- neither readers nor writers of the parent; CREATE TABLE .. PARTITION OF would wait for all of them, and keep out the next.
CREATE FUNCTION make_month() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
  parent TEXT;
  part TEXT;
BEGIN
  FOREACH parent IN ARRAY ARRAY['readings', 'hours'] LOOP
    part := parent || '_' || replace(NEW.month, '-', '_');
    EXECUTE format('CREATE TABLE %I (LIKE %I)', part, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, NEW.from_us, NEW.before_us);
  END LOOP;
  RETURN NEW;
END
$$;
CREATE TRIGGER months_make AFTER INSERT ON months FOR EACH ROW EXECUTE FUNCTION make_month();
