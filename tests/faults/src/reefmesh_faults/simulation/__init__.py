"""The mesh under a deterministic scheduler: real services, real statements, a simulated network, broker and time."""
