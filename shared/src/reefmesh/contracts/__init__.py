"""What the services say to each other: channels, the envelope, and one module per message body."""
