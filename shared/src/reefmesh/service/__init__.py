"""What every service is made of: a worker with its lanes, an outbox, a life from start to drain, exit codes."""
