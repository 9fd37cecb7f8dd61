-- Client certificates: serial is the certificate's serial number in lower-case hex, name its common name, which is also the
-- device's level of the topic.
CREATE TABLE gateway_certificate (
  serial TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  device TEXT NOT NULL,
  version BIGINT NOT NULL,
  created_us BIGINT NOT NULL,
  expires_us BIGINT NOT NULL,
  revoked_us BIGINT
);
CREATE INDEX gateway_certificate_version ON gateway_certificate (version);
CREATE INDEX gateway_certificate_device ON gateway_certificate (device);

-- Which gateway process is the client of an MQTT broker: it counts beat up while it is. No holder: nobody is.
CREATE TABLE gateway_lease (
  name TEXT NOT NULL PRIMARY KEY,
  holder TEXT NOT NULL,
  beat BIGINT NOT NULL
);

-- The messages that were taken in hand, by their packet id, which the MQTT broker keeps when it delivers one again: 65,535 of a
-- session at most. A repeat has the cause of the first, and so its event id.
CREATE TABLE gateway_receipt (
  session TEXT NOT NULL,
  packet_id BIGINT NOT NULL,
  content_sha256 TEXT NOT NULL,
  cause TEXT NOT NULL,
  received_us BIGINT NOT NULL,
  PRIMARY KEY (session, packet_id)
);

-- Reports that are held back because their device sent too often; they are published later, in the order of place.
CREATE TABLE gateway_held (
  cause TEXT NOT NULL PRIMARY KEY,
  place BIGINT NOT NULL,
  name TEXT NOT NULL,
  topic TEXT NOT NULL,
  received_us BIGINT NOT NULL,
  body BYTEA NOT NULL
);
CREATE INDEX gateway_held_place ON gateway_held (name, place);

-- What was refused over MQTT, where no answer can say so: a count for each name, and the last of them cut to 4 KiB.
CREATE TABLE gateway_refused (
  name TEXT NOT NULL PRIMARY KEY,
  reports BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  first_us BIGINT NOT NULL,
  last_us BIGINT NOT NULL,
  reason TEXT NOT NULL,
  sample BYTEA NOT NULL
);
