-- The ledger: every alert ever raised, as it was published. Rows are never changed.
CREATE TABLE alerts (
  alert_id TEXT NOT NULL PRIMARY KEY,
  reef_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  change TEXT NOT NULL,
  severity BIGINT NOT NULL,
  occurred_us BIGINT NOT NULL,
  raised_us BIGINT NOT NULL,
  body_json TEXT NOT NULL
);
CREATE INDEX alerts_by_reef ON alerts (reef_id, occurred_us, alert_id);
CREATE INDEX alerts_by_raising ON alerts (raised_us);

-- What each episode's state is now; standing is 1 while one is open. A view of the reefs' states, for those who look.
CREATE TABLE episodes (
  reef_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  buoy_id TEXT,
  state TEXT NOT NULL,
  severity BIGINT NOT NULL,
  standing BIGINT NOT NULL,
  since_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL,
  alert_id TEXT NOT NULL,
  summary TEXT NOT NULL,
  PRIMARY KEY (reef_id, kind, subject)
);
CREATE INDEX episodes_standing ON episodes (standing, severity);

-- When a reef must be looked at although nothing was heard of it; never later than its true next deadline, often earlier.
CREATE TABLE deadlines (
  reef_id TEXT NOT NULL PRIMARY KEY,
  next_deadline_us BIGINT NOT NULL
);
CREATE INDEX deadlines_next ON deadlines (next_deadline_us);

-- One row for each alert, subscription and channel. status: pending, sent, failed (given up), expired (too old to be told, or
-- nobody to tell any more). digest_us is 0 for what is told at once, else the instant of its digest.
-- lease_token names the one attempt that holds the row until leased_until_us.
CREATE TABLE deliveries (
  idempotency_key TEXT NOT NULL PRIMARY KEY,
  alert_id TEXT NOT NULL,
  reef_id TEXT NOT NULL,
  subscription TEXT NOT NULL,
  channel TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  created_us BIGINT NOT NULL,
  next_attempt_us BIGINT NOT NULL,
  digest_us BIGINT NOT NULL,
  lease_token TEXT NOT NULL,
  leased_until_us BIGINT NOT NULL,
  settled_us BIGINT,
  last_error TEXT NOT NULL,
  break_through BIGINT NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (status, channel, next_attempt_us);
CREATE INDEX deliveries_by_alert ON deliveries (alert_id);
CREATE INDEX deliveries_leased ON deliveries (lease_token);
