"""What every reefmesh service shares: contracts, the broker port, the store port, and how a service lives.

No domain rules live here; see ``reefmesh_ingest``, ``reefmesh_scoring`` and ``reefmesh_alerts`` for those.
"""

__version__ = "0.1.0"
