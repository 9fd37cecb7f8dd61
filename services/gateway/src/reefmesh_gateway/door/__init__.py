"""The HTTP door: its listener, its endpoint, and what a request may be."""
