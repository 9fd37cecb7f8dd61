"""The messages between services: channels, the envelope, and one module for each body."""
