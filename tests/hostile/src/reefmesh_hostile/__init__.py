"""An attacker beside honest traffic on a real mesh. Begin with ``act``: what an attacker does, and what must hold after it."""
