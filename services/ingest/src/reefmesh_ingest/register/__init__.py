"""The operators' register of reefs and buoys: its file, its table, and what the running service knows of it."""
