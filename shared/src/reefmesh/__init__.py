"""The code that all services of reefmesh share: contracts, the broker port, the store port, and a service's life.

It holds no domain rules; they are in the packages of the services (``reefmesh.contracts.services`` lists them).
"""

__version__ = "0.1.0"
