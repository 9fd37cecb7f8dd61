"""Mutes and acknowledgements: what people say about alerts, and what follows for deliveries."""
