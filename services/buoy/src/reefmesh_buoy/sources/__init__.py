"""Where measurements come from: each source yields lines of JSON."""
