-- How many temperatures of each solar date were left out as suspect, at night and in all. A reef of an older version has its
-- readings counted again with its next message.
ALTER TABLE day_totals ADD COLUMN night_suspect_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE day_totals ADD COLUMN suspect_count BIGINT NOT NULL DEFAULT 0;

-- The share of suspect readings of a day in 1e-4, and the days that its DHW is summed over: with their daytime standing in,
-- filled, missing, and with too many suspect readings (coverage_days: with a night). NULL on a day that was scored before.
ALTER TABLE days ADD COLUMN suspect_e4 BIGINT;
ALTER TABLE days ADD COLUMN whole_days BIGINT;
ALTER TABLE days ADD COLUMN filled_days BIGINT;
ALTER TABLE days ADD COLUMN missing_days BIGINT;
ALTER TABLE days ADD COLUMN suspect_days BIGINT;
