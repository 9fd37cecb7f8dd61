"""Operators' exclusions: what an operator's message does to stored readings, the tables behind it, and what they show."""
