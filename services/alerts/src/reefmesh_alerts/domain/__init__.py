"""The rules of alerts: pure functions of the scores, in their order, and of the instants at which deadlines are checked."""
