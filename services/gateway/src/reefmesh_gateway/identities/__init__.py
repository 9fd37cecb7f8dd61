"""Who may send: the devices that an operator enrolled, and their tokens."""
