"""Records of the past as telemetry: one reader a file format, each yielding days or readings for ``reefmesh replay``."""
