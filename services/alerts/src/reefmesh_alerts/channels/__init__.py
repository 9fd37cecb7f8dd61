"""The ways to people: console, e-mail, webhook."""
