-- Whoever takes a reef over asks whether it has outputs that are not known to be out, and sends them before its own.
CREATE INDEX mesh_outbox_reef ON mesh_outbox (reef_id, version, position);
