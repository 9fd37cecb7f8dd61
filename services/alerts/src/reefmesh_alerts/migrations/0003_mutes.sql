-- A delivery's purpose: '' tells the alert when it was raised, in_force tells it to a recipient who is new to it, after_mute
-- tells it at the end of the mute that held it back. mute_id names the mute whose status muted, or whose end, it has.
ALTER TABLE deliveries ADD COLUMN purpose TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN mute_id TEXT NOT NULL DEFAULT '';
CREATE INDEX deliveries_by_mute ON deliveries (mute_id, status);
CREATE INDEX deliveries_by_end ON deliveries (status, channel, settled_us);

-- Who wants no messages about a reef, for how long and why. kind '' is every kind. ends_us is until_us, or when it was lifted.
-- told_us is 0 until its end was told. Rows are never deleted.
CREATE TABLE mutes (
  mute_id TEXT NOT NULL PRIMARY KEY,
  reef_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  begins_us BIGINT NOT NULL,
  until_us BIGINT NOT NULL,
  ends_us BIGINT NOT NULL,
  reason TEXT NOT NULL,
  made_by TEXT NOT NULL,
  lifted_by TEXT NOT NULL,
  told_us BIGINT NOT NULL
);
CREATE INDEX mutes_untold ON mutes (told_us, ends_us);

-- Who has seen an alert and takes care of it.
CREATE TABLE acknowledgements (
  alert_id TEXT NOT NULL,
  made_us BIGINT NOT NULL,
  made_by TEXT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (alert_id, made_us, made_by)
);
