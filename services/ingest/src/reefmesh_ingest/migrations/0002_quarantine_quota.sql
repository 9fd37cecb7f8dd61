-- Bounds of quarantine. stored_bytes is what an entry keeps here, its message included (on the message's first entry);
-- stored_us is when it was kept. payload_bytes and payload_sha256 are set where only the first bytes of a payload were kept.
ALTER TABLE quarantine ADD COLUMN stored_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE quarantine ADD COLUMN stored_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE quarantine_message ADD COLUMN payload_bytes BIGINT;
ALTER TABLE quarantine_message ADD COLUMN payload_sha256 TEXT;
UPDATE quarantine SET stored_us = received_us, stored_bytes = LENGTH(example) + LENGTH(detail);
UPDATE quarantine SET stored_bytes = stored_bytes + COALESCE((SELECT LENGTH(payload) + LENGTH(headers_json)
  FROM quarantine_message WHERE quarantine_message.origin = quarantine.origin), 0)
  WHERE quarantine_id IN (SELECT MIN(quarantine_id) FROM quarantine GROUP BY origin);
CREATE INDEX quarantine_by_age ON quarantine (stored_us);
CREATE INDEX quarantine_by_kind ON quarantine (reason, scope, status, stored_bytes);

-- What was refused and is not in quarantine: folded beyond the quota ("scope/reason=entries:readings", blank between), or
-- removed for its age. Both are part of readings_quarantined.
ALTER TABLE receipts ADD COLUMN folded TEXT;
ALTER TABLE receipts ADD COLUMN folded_readings BIGINT NOT NULL DEFAULT 0;
ALTER TABLE receipts ADD COLUMN removed_entries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE receipts ADD COLUMN removed_readings BIGINT NOT NULL DEFAULT 0;
CREATE INDEX receipts_folded ON receipts (device, folded) WHERE folded IS NOT NULL;
