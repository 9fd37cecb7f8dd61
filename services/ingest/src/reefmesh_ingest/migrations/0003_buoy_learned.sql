-- What a buoy's own reports show of it, where the register says nothing: its first voltages, the scale of its pH probe.
CREATE TABLE buoy_learned (
  buoy_id TEXT NOT NULL PRIMARY KEY,
  learned_json TEXT NOT NULL
);
