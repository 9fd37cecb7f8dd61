"""What the tests of all packages share: real components (databases, brokers) as fixtures."""

pytest_plugins = ["reefmesh_components.plugin"]
