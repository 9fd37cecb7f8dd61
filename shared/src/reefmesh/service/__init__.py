"""How a service lives: its lanes, its drain, its exit codes."""
