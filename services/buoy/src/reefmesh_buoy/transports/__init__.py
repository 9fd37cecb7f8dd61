"""Ways to send a report; each returns once the other side has confirmed it."""
