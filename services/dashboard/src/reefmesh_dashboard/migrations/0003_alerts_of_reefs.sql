-- The number of the newest alert of a reef (0: none), beside those of its facts and its score: the three together change with
-- whatever a page shows of the reef.
ALTER TABLE reefs ADD COLUMN alerts_seq BIGINT NOT NULL DEFAULT 0;
