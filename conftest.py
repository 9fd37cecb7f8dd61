"""What the tests of all packages share: real components (databases, brokers) as fixtures, and how Hypothesis judges."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["reefmesh_components.plugin"]

# A law that takes long on a busy machine is no broken law. What failed is told so that it can be repeated elsewhere.
settings.register_profile("reefmesh", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("reefmesh")
