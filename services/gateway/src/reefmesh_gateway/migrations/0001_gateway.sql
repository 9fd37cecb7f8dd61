-- Counts up with every change of a device or a credential, so that running gateways read only what changed.
CREATE TABLE gateway_version (
  id BIGINT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL
);
INSERT INTO gateway_version (id, version) VALUES (1, 0);

-- The enrolled devices, with what the gateway needs of the register: names_json has every name of the buoy.
CREATE TABLE gateway_device (
  device TEXT NOT NULL PRIMARY KEY,
  version BIGINT NOT NULL,
  reef_id TEXT NOT NULL,
  names_json TEXT NOT NULL,
  report_interval_seconds BIGINT NOT NULL,
  enrolled_us BIGINT NOT NULL
);
CREATE INDEX gateway_device_version ON gateway_device (version);

-- Tokens: of each only the SHA-256 of its secret part is kept. expires_us and revoked_us are null where there is no such instant.
CREATE TABLE gateway_credential (
  credential_id TEXT NOT NULL PRIMARY KEY,
  device TEXT NOT NULL,
  version BIGINT NOT NULL,
  secret_sha256 TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  expires_us BIGINT,
  revoked_us BIGINT
);
CREATE INDEX gateway_credential_version ON gateway_credential (version);
CREATE INDEX gateway_credential_device ON gateway_credential (device);

-- When each credential was used last, written about once a minute.
CREATE TABLE gateway_last_use (
  credential_id TEXT NOT NULL PRIMARY KEY,
  used_us BIGINT NOT NULL
);

-- Answers to requests that had an idempotency key, for a day.
CREATE TABLE gateway_answer (
  device TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  body_sha256 TEXT NOT NULL,
  answer_json TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  PRIMARY KEY (device, idempotency_key)
);
CREATE INDEX gateway_answer_created ON gateway_answer (created_us);
